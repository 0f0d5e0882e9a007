#include "vit/explain/variants.h"

#include <algorithm>
#include <cmath>

#include "vit/core/check.h"
#include "vit/core/parallel.h"
#include "vit/image/cell_map.h"

namespace vit {

namespace {

/// Weights of a Gaussian at distances 0, 1, ..., three sigma, which sum to 1 with their mirror images.
std::vector<double> gaussian_weights(double sigma) {
  const auto reach = static_cast<int64_t>(std::ceil(3.0 * sigma));
  std::vector<double> weights;
  double sum = 0.0;
  for (int64_t d = 0; d <= reach; ++d) {
    const double z = static_cast<double>(d) / sigma;
    weights.push_back(std::exp(-0.5 * z * z));
    sum += (d == 0 ? 1.0 : 2.0) * weights.back();
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

/// One line of `count` values, `step` apart, into another of the same layout.
void blur_line(const float* from, float* to, int64_t count, int64_t step, const std::vector<double>& weights) {
  const auto reach = static_cast<int64_t>(weights.size()) - 1;
  for (int64_t i = 0; i < count; ++i) {
    double sum = weights[0] * static_cast<double>(from[i * step]);
    for (int64_t d = 1; d <= reach; ++d) {
      const int64_t before = std::max<int64_t>(i - d, 0), after = std::min(i + d, count - 1);
      sum += weights[static_cast<size_t>(d)] *
             (static_cast<double>(from[before * step]) + static_cast<double>(from[after * step]));
    }
    to[i * step] = static_cast<float>(sum);
  }
}

}  // namespace

std::vector<double> score_variants(const Subject& subject, const Shape& picture, int64_t count, int64_t batch_size,
                                   const FillVariant& fill) {
  check(picture.rank() == 4 && picture[0] == 1, "score_variants: expected the shape of one picture, got ", picture);
  check(batch_size >= 1, "score_variants: batch_size must be at least 1, got ", batch_size);
  std::vector<double> scores;
  scores.reserve(static_cast<size_t>(count));
  for (int64_t first = 0; first < count; first += batch_size) {
    const int64_t size = std::min(batch_size, count - first);
    const Tensor batch = Tensor::empty({size, picture[1], picture[2], picture[3]});
    parallel_try(size, [&](int64_t i) { fill(first + i, batch.f32() + i * picture.numel()); });
    const std::vector<double> part = subject.scores(batch);
    check(static_cast<int64_t>(part.size()) == size, "score_variants: ", part.size(), " scores of ", size, " pictures");
    scores.insert(scores.end(), part.begin(), part.end());
  }
  return scores;
}

Tensor map_on_pixels(const Tensor& map, int64_t height, int64_t width) {
  check(map.rank() == 2 && map.numel() > 0, "map_on_pixels: expected a map [rows, columns], got ", map.shape());
  for (const float value : map.span<float>())
    check(std::isfinite(value), "a map of ", map.shape(), " holds a value that is not finite");
  if (map.size(0) == height && map.size(1) == width) return map;
  const CellWindow all{.rows = static_cast<double>(map.size(0)), .columns = static_cast<double>(map.size(1))};
  return cells_on_picture(map, all, {height, width});
}

Tensor blurred_pixels(const Tensor& pixels, double sigma) {
  check(pixels.rank() == 4 && pixels.size(0) == 1, "blurred_pixels: expected one picture, got ", pixels.shape());
  check(sigma > 0.0, "blurred_pixels: sigma must be above 0, got ", sigma);
  const std::vector<double> weights = gaussian_weights(sigma);
  const int64_t channels = pixels.size(1), height = pixels.size(2), width = pixels.size(3);
  const Tensor across = Tensor::empty(pixels.shape()), result = Tensor::empty(pixels.shape());
  parallel_for(channels * height, [&](int64_t row) {
    blur_line(pixels.f32() + row * width, across.f32() + row * width, width, 1, weights);
  });
  parallel_for(channels * width, [&](int64_t line) {
    const int64_t first = line / width * height * width + line % width;
    blur_line(across.f32() + first, result.f32() + first, height, width, weights);
  });
  return result;
}

}  // namespace vit
