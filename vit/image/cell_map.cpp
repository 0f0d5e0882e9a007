#include "vit/image/cell_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <variant>

#include "vit/core/check.h"
#include "vit/image/bilinear.h"
#include "vit/image/preprocess_steps.h"

namespace vit {

namespace {

/// Bilinear between the centres of cells; beyond the outer ones as they are.
float value_at(const Tensor& cells, double x, double y) {
  const auto place = [](double at, int64_t extent) {
    return std::clamp(at - 0.5, 0.0, static_cast<double>(extent - 1));
  };
  const int64_t rows = cells.size(0), columns = cells.size(1);
  return static_cast<float>(bilinear(place(y, rows), place(x, columns), rows, columns, [&](int64_t r, int64_t c) {
    return static_cast<double>(cells.f32()[r * columns + c]);
  }));
}

/// Gives the four cells around a point, in cells from the upper left corner, their parts of a weight.
void add_point(Tensor& cells, double x, double y, double weight) {
  const int64_t height = cells.size(0), width = cells.size(1);
  const double left = std::floor(x - 0.5), top = std::floor(y - 0.5);
  for (const double row : {top, top + 1.0})
    for (const double col : {left, left + 1.0}) {
      if (!(row >= 0.0 && row < static_cast<double>(height) && col >= 0.0 && col < static_cast<double>(width)))
        continue;
      const double share = (1.0 - std::abs(x - 0.5 - col)) * (1.0 - std::abs(y - 0.5 - row));
      cells.f32()[static_cast<int64_t>(row) * width + static_cast<int64_t>(col)] += static_cast<float>(weight * share);
    }
}

}  // namespace

CellWindow cell_window(const Preprocessor& preprocessor, const Extent& source, const Extent& grid) {
  // What the steps so far have kept, in pixels of the source.
  double top = 0.0, left = 0.0;
  auto height = static_cast<double>(source.height), width = static_cast<double>(source.width);
  Extent extent = source;
  for (const ImageStep& step : preprocessor.steps()) {
    const Extent after = detail::extent_after(step, extent);
    if (const auto* crop = std::get_if<CenterCrop>(&step)) {
      const detail::Corner corner = detail::crop_corner(*crop, extent);
      const double unit_y = height / static_cast<double>(extent.height),
                   unit_x = width / static_cast<double>(extent.width);
      top += unit_y * static_cast<double>(corner.top);
      left += unit_x * static_cast<double>(corner.left);
      height = unit_y * static_cast<double>(after.height);
      width = unit_x * static_cast<double>(after.width);
    }
    extent = after;
  }
  const double per_y = static_cast<double>(grid.height) / height, per_x = static_cast<double>(grid.width) / width;
  return {.top = -top * per_y,
          .left = -left * per_x,
          .rows = static_cast<double>(source.height) * per_y,
          .columns = static_cast<double>(source.width) * per_x};
}

Tensor cells_on_picture(const Tensor& cells, const CellWindow& window, const Extent& size) {
  check(cells.rank() == 2, "cells_on_picture: expected [rows, columns], got ", cells.shape());
  Tensor result = Tensor::empty({size.height, size.width});
  const auto rows = static_cast<double>(cells.size(0)), columns = static_cast<double>(cells.size(1));
  for (int64_t y = 0; y < size.height; ++y)
    for (int64_t x = 0; x < size.width; ++x) {
      const double row = window.top + (static_cast<double>(y) + 0.5) / static_cast<double>(size.height) * window.rows;
      const double col =
          window.left + (static_cast<double>(x) + 0.5) / static_cast<double>(size.width) * window.columns;
      const bool inside = row >= 0.0 && row <= rows && col >= 0.0 && col <= columns;
      result.f32()[y * size.width + x] = inside ? value_at(cells, col, row) : 0.0f;
    }
  return result;
}

Tensor smoothed_cells(const Tensor& cells) {
  constexpr int64_t kReach = 3;
  Tensor result = cells.clone();
  const std::array<int64_t, 2> extents{cells.size(0), cells.size(1)}, steps{cells.size(1), 1};
  for (size_t axis = 0; axis < 2; ++axis) {
    const Tensor before = result.clone();
    for (int64_t i = 0; i < cells.numel(); ++i) {
      const int64_t place = i / steps[axis] % extents[axis];
      double sum = 0.0, total = 0.0;
      for (int64_t d = -kReach; d <= kReach; ++d) {
        const double share = std::exp(-0.5 * static_cast<double>(d * d));
        total += share;
        if (place + d >= 0 && place + d < extents[axis]) sum += share * before.f32()[i + d * steps[axis]];
      }
      result.f32()[i] = static_cast<float>(sum / total);
    }
  }
  return result;
}

Tensor cells_of_points(const Tensor& locations, const Tensor& weights, int64_t query,
                       const std::array<int64_t, 2>& heads, const Extent& grid) {
  const int64_t count = locations.size(2), samples = locations.size(3);
  Tensor cells = Tensor::zeros({grid.height, grid.width});
  for (int64_t h = heads[0]; h < heads[1]; ++h)
    for (int64_t s = 0; s < samples; ++s) {
      const int64_t i = (query * count + h) * samples + s;
      add_point(cells, locations.f32()[2 * i] * static_cast<double>(grid.width),
                locations.f32()[2 * i + 1] * static_cast<double>(grid.height),
                weights.f32()[i] / static_cast<double>(heads[1] - heads[0]));
    }
  return cells;
}

Extent point_grid(const Extent& input) {
  constexpr int64_t kPointCell = 8;
  return {(input.height + kPointCell - 1) / kPointCell, (input.width + kPointCell - 1) / kPointCell};
}

int64_t wanted_layer(const std::optional<int64_t>& layer, int64_t layers) {
  const int64_t wanted = layer.value_or(layers - 1);
  if (wanted < 0 || wanted >= layers)
    fail_usage("there is no layer ", wanted, " of attention to look at; the model has ", layers, ", counted from 0");
  return wanted;
}

std::array<int64_t, 2> wanted_heads(const std::optional<int64_t>& head, int64_t heads) {
  if (!head) return {0, heads};
  if (*head < 0 || *head >= heads)
    fail_usage("there is no attention head ", *head, "; the layer has ", heads, ", counted from 0");
  return {*head, *head + 1};
}

void scale_to_largest(Tensor& values) {
  if (values.numel() == 0) return;
  const float largest = *std::max_element(values.f32(), values.f32() + values.numel());
  for (float& value : values.span<float>()) value = largest > 0.0f ? std::max(0.0f, value / largest) : 0.0f;
}

}  // namespace vit
