#include "detection/map_positions.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "vit/autograd/tensor_ops.h"
#include "vit/core/parallel.h"

namespace detection {

namespace {

constexpr float kTemperature = 10000.0f, kEps = 1e-6f, kCircle = 2.0f * std::numbers::pi_v<float>;
constexpr int64_t kLearnedExtent = 50;

/// Wave lengths of `count` numbers: a sine and a cosine of each.
std::vector<float> wave_lengths(int64_t count) {
  std::vector<float> lengths(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t even = i / 2 * 2;
    lengths[static_cast<size_t>(i)] = std::pow(kTemperature, static_cast<float>(even) / static_cast<float>(count));
  }
  return lengths;
}

void write_waves(float* out, float angle, const std::vector<float>& lengths) {
  for (size_t i = 0; i < lengths.size(); ++i)
    out[i] = i % 2 == 0 ? std::sin(angle / lengths[i]) : std::cos(angle / lengths[i]);
}

/// Where the cells of one picture lie along both axes, as angles.
struct Angles {
  std::vector<float> rows, columns;  ///< [cells]
};

Angles measure(const vit::Grid& grid, const bool* picture, float offset) {
  const auto cells = static_cast<size_t>(grid.count());
  Angles angles{std::vector<float>(cells), std::vector<float>(cells)};
  const auto is_picture = [&](int64_t y, int64_t x) { return !picture || picture[y * grid.width + x] ? 1.0f : 0.0f; };
  for (int64_t y = 0; y < grid.height; ++y)
    for (int64_t x = 0; x < grid.width; ++x) {
      const auto i = static_cast<size_t>(y * grid.width + x);
      angles.rows[i] = (y > 0 ? angles.rows[i - static_cast<size_t>(grid.width)] : 0.0f) + is_picture(y, x);
      angles.columns[i] = (x > 0 ? angles.columns[i - 1] : 0.0f) + is_picture(y, x);
    }
  // The last row and column have the totals; they are divided last.
  const Angles counts = angles;
  for (int64_t y = 0; y < grid.height; ++y)
    for (int64_t x = 0; x < grid.width; ++x) {
      const auto i = static_cast<size_t>(y * grid.width + x);
      const float rows = counts.rows[static_cast<size_t>((grid.height - 1) * grid.width + x)];
      const float columns = counts.columns[static_cast<size_t>(y * grid.width + grid.width - 1)];
      angles.rows[i] = (counts.rows[i] - offset) / (rows + kEps) * kCircle;
      angles.columns[i] = (counts.columns[i] - offset) / (columns + kEps) * kCircle;
    }
  return angles;
}

}  // namespace

vit::Tensor sine_positions(const vit::Grid& grid, const vit::Tensor& picture, const SinePositionOptions& options) {
  if (options.dim % 4 != 0)
    vit::fail_usage("positions of sines and cosines need a width divisible by 4, got ", options.dim);
  const int64_t batch = picture.defined() ? picture.size(0) : 1, half = options.dim / 2, cells = grid.count();
  const std::vector<float> lengths = wave_lengths(half);
  vit::Tensor positions = vit::Tensor::empty({batch, cells, options.dim});
  vit::parallel_for(batch, [&](int64_t b) {
    const Angles angles = measure(grid, picture.defined() ? picture.data<bool>() + b * cells : nullptr, options.offset);
    float* out = positions.f32() + b * cells * options.dim;
    // Most cells are where the one above or beside them is: their waves are copied.
    for (int64_t i = 0; i < cells; ++i) {
      const auto at = static_cast<size_t>(i);
      float* out_i = out + i * options.dim;
      if (i % grid.width > 0 && angles.rows[at] == angles.rows[at - 1])
        std::copy_n(out_i - options.dim, half, out_i);
      else
        write_waves(out_i, angles.rows[at], lengths);
      const auto above = at - static_cast<size_t>(grid.width);
      if (i >= grid.width && angles.columns[at] == angles.columns[above])
        std::copy_n(out_i + half - grid.width * options.dim, half, out_i + half);
      else
        write_waves(out_i + half, angles.columns[at], lengths);
    }
  });
  return positions;
}

vit::Tensor box_positions(const vit::Tensor& boxes, int64_t dim) {
  const std::vector<float> lengths = wave_lengths(dim / 2);
  vit::Tensor positions = vit::Tensor::empty({boxes.size(0), boxes.size(1), 2 * dim});
  for (int64_t i = 0; i < boxes.numel(); ++i) {
    const float share = 1.0f / (1.0f + std::exp(-boxes.f32()[i]));
    write_waves(positions.f32() + i * (dim / 2), share * kCircle, lengths);
  }
  return positions;
}

LearnedPositions::LearnedPositions(int64_t dim) {
  add_parameter("row_embeddings.weight", rows_, {kLearnedExtent, dim / 2}, vit::Init::uniform(1.0f));
  add_parameter("column_embeddings.weight", columns_, {kLearnedExtent, dim / 2}, vit::Init::uniform(1.0f));
}

vit::Var LearnedPositions::forward(vit::Context& ctx, const vit::Grid& grid) const {
  vit::check(grid.height <= kLearnedExtent && grid.width <= kLearnedExtent, "learned positions: a map of ", grid.height,
             " x ", grid.width, " is larger than the ", kLearnedExtent, " rows and columns there are");
  vit::Tensor row = vit::Tensor::empty({1, grid.count()}, vit::DType::i64), column = row.clone();
  for (int64_t i = 0; i < grid.count(); ++i) {
    row.data<int64_t>()[i] = i / grid.width;
    column.data<int64_t>()[i] = i % grid.width;
  }
  return vit::concat(ctx, {vit::embedding(ctx, columns_.value, column), vit::embedding(ctx, rows_.value, row)}, -1);
}

}  // namespace detection
