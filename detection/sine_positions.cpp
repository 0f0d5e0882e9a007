#include "detection/sine_positions.h"

#include <cmath>
#include <numbers>
#include <vector>

namespace detection {

namespace {

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
  constexpr float kCircle = 2.0f * std::numbers::pi_v<float>, kEps = 1e-6f;
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

/// sin and cos of an angle in turn, at each of the wave lengths.
void write_waves(float angle, const std::vector<float>& lengths, float* out) {
  for (size_t i = 0; i < lengths.size(); i += 2) {
    out[i] = std::sin(angle / lengths[i]);
    out[i + 1] = std::cos(angle / lengths[i + 1]);
  }
}

}  // namespace

vit::Tensor sine_positions(const vit::Grid& grid, const vit::Tensor& picture, const SinePositionOptions& options) {
  if (options.dim % 4 != 0)
    vit::fail_usage("positions of sines and cosines need a width divisible by 4, got ", options.dim);
  const int64_t batch = picture.defined() ? picture.size(0) : 1, half = options.dim / 2, cells = grid.count();
  std::vector<float> lengths;
  for (int64_t i = 0; i < half; ++i)
    lengths.push_back(
        static_cast<float>(std::pow(options.temperature, static_cast<double>(i / 2 * 2) / static_cast<double>(half))));
  vit::Tensor positions = vit::Tensor::empty({batch, cells, options.dim});
  for (int64_t b = 0; b < batch; ++b) {
    const Angles angles = measure(grid, picture.defined() ? picture.data<bool>() + b * cells : nullptr, options.offset);
    float* out = positions.f32() + b * cells * options.dim;
    // Most cells are where the one above or beside them is: their waves are copied.
    for (int64_t i = 0; i < cells; ++i) {
      const auto at = static_cast<size_t>(i);
      float* out_i = out + i * options.dim;
      if (i % grid.width > 0 && angles.rows[at] == angles.rows[at - 1])
        std::copy_n(out_i - options.dim, half, out_i);
      else
        write_waves(angles.rows[at], lengths, out_i);
      const auto above = at - static_cast<size_t>(grid.width);
      if (i >= grid.width && angles.columns[at] == angles.columns[above])
        std::copy_n(out_i + half - grid.width * options.dim, half, out_i + half);
      else
        write_waves(angles.columns[at], lengths, out_i + half);
    }
  }
  return positions;
}

}  // namespace detection
