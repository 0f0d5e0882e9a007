#include "detection/map_positions.h"

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
  for (int64_t i = 0; i < count; ++i)
    lengths[static_cast<size_t>(i)] = std::pow(kTemperature, static_cast<float>(i / 2 * 2) / static_cast<float>(count));
  return lengths;
}

void write_waves(float* out, float angle, const std::vector<float>& lengths) {
  for (size_t i = 0; i < lengths.size(); ++i)
    out[i] = i % 2 == 0 ? std::sin(angle / lengths[i]) : std::cos(angle / lengths[i]);
}

/// Angles of one picture's cells along an axis: `step` cells apart in lines of `length`, whose first cells are `first`.
void count_along(float* angles, const bool* mask, const std::vector<int64_t>& first, int64_t step, int64_t length) {
  for (const int64_t begin : first) {
    float count = 0.0f;
    for (int64_t i = 0; i < length; ++i) {
      count += mask[begin + i * step] ? 1.0f : 0.0f;
      angles[begin + i * step] = count;
    }
    for (int64_t i = 0; i < length; ++i) {
      float& angle = angles[begin + i * step];
      angle = (angle - 0.5f) / (count + kEps) * kCircle;
    }
  }
}

}  // namespace

vit::Tensor sine_positions(const vit::Tensor& mask, const vit::Grid& grid, int64_t dim) {
  if (dim % 4 != 0) vit::fail_usage("positions of sines and cosines need a width divisible by 4, got ", dim);
  const int64_t cells = grid.count(), batch = mask.size(0);
  const std::vector<float> lengths = wave_lengths(dim / 2);
  std::vector<int64_t> tops, lefts;
  for (int64_t col = 0; col < grid.width; ++col) tops.push_back(col);
  for (int64_t row = 0; row < grid.height; ++row) lefts.push_back(row * grid.width);
  vit::Tensor positions = vit::Tensor::empty({batch, cells, dim});
  vit::parallel_for(batch, [&](int64_t b) {
    const bool* picture = mask.data<bool>() + b * cells;
    std::vector<float> down(static_cast<size_t>(cells)), across(static_cast<size_t>(cells));
    count_along(down.data(), picture, tops, grid.width, grid.height);
    count_along(across.data(), picture, lefts, 1, grid.width);
    for (int64_t i = 0; i < cells; ++i) {
      float* out = positions.f32() + (b * cells + i) * dim;
      write_waves(out, down[static_cast<size_t>(i)], lengths);
      write_waves(out + dim / 2, across[static_cast<size_t>(i)], lengths);
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
