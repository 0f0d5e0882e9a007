// RISE (Petsiuk, Das and Saenko 2018, "RISE: randomized input sampling for explanation of black-box models", section
// 3): the score of the picture under many random masks; a pixel matters as much as the mean score while it is seen.
// Needs nothing of the model but its answers, and one forward pass for each of `samples` masks.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "vit/core/check.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/explain/method.h"
#include "vit/explain/variants.h"

namespace vit {

namespace {

/// Cells along each side of a mask, and the probability that a cell is seen: the paper's, for every model.
constexpr int64_t kCells = 7;
constexpr double kSeen = 0.5;

/// The two cells that a pixel lies between, and the share of the second.
struct Between {
  int64_t first = 0, second = 0;
  float share = 0.0f;
};

/// Along one side of `extent` pixels: kCells cells stretched to one cell more than the picture, of which a window that
/// begins `shift` pixels in is the mask.
std::vector<Between> places(int64_t extent, int64_t cell, int64_t shift) {
  const auto stretched = static_cast<double>((kCells + 1) * cell);
  std::vector<Between> result;
  for (int64_t i = 0; i < extent; ++i) {
    const double at = (static_cast<double>(i + shift) + 0.5) * static_cast<double>(kCells) / stretched - 0.5;
    const double inside = std::clamp(at, 0.0, static_cast<double>(kCells - 1));
    const auto first = static_cast<int64_t>(inside);
    result.push_back({.first = first,
                      .second = std::min(first + 1, kCells - 1),
                      .share = static_cast<float>(inside - static_cast<double>(first))});
  }
  return result;
}

/// Mask `index`, [height, width] from 0 to 1: a function of the seed and the index alone.
void draw_mask(uint64_t seed, int64_t index, int64_t height, int64_t width, float* mask) {
  Rng rng(seed, Rng::stream_of("rise") + static_cast<uint64_t>(index));
  std::array<float, static_cast<size_t>(kCells * kCells)> cells{};
  for (float& cell : cells) cell = rng.uniform() < static_cast<float>(kSeen) ? 1.0f : 0.0f;
  const int64_t cell_height = (height + kCells - 1) / kCells, cell_width = (width + kCells - 1) / kCells;
  const auto down = static_cast<int64_t>(rng.next_u32() % static_cast<uint32_t>(cell_height));
  const auto right = static_cast<int64_t>(rng.next_u32() % static_cast<uint32_t>(cell_width));
  const std::vector<Between> rows = places(height, cell_height, down), columns = places(width, cell_width, right);
  const auto at = [&](int64_t row, const Between& column) {
    const float first = cells[static_cast<size_t>(row * kCells + column.first)];
    const float second = cells[static_cast<size_t>(row * kCells + column.second)];
    return first + column.share * (second - first);
  };
  for (const Between& row : rows)
    for (const Between& column : columns) {
      const float above = at(row.first, column);
      *mask++ = above + row.share * (at(row.second, column) - above);
    }
}

/// Adds score * mask of each mask of a batch, in order, so that neither batches nor threads change the sum.
void add_weighted(const std::vector<double>& scores, const std::vector<float>& masks, std::vector<double>& sums) {
  const auto area = static_cast<int64_t>(sums.size());
  constexpr int64_t kGrain = 4096;
  parallel_for_range(area, kGrain, [&](int64_t begin, int64_t end) {
    for (size_t i = 0; i < scores.size(); ++i)
      for (int64_t pixel = begin; pixel < end; ++pixel)
        sums[static_cast<size_t>(pixel)] +=
            scores[i] * static_cast<double>(masks[i * static_cast<size_t>(area) + static_cast<size_t>(pixel)]);
  });
}

Explanation rise(const Subject& subject, const Tensor& pixels, const MethodOptions& options) {
  if (options.samples < 1) fail_usage("rise: samples must be at least 1, got ", options.samples);
  check(options.batch_size >= 1, "rise: batch_size must be at least 1, got ", options.batch_size);
  const int64_t channels = pixels.size(1), height = pixels.size(2), width = pixels.size(3), area = height * width;
  std::vector<double> sums(static_cast<size_t>(area), 0.0);
  for (int64_t first = 0; first < options.samples; first += options.batch_size) {
    const int64_t size = std::min(options.batch_size, options.samples - first);
    std::vector<float> masks(static_cast<size_t>(size * area));
    const std::vector<double> scores =
        score_variants(subject, pixels.shape(), size, size, [&](int64_t index, float* masked) {
          float* mask = masks.data() + index * area;
          draw_mask(options.seed, first + index, height, width, mask);
          for (int64_t i = 0; i < channels * area; ++i) masked[i] = pixels.f32()[i] * mask[i % area];
        });
    add_weighted(scores, masks, sums);
  }
  Explanation result{.map = Tensor::empty({height, width})};
  const double expected = kSeen * static_cast<double>(options.samples);
  for (int64_t i = 0; i < area; ++i) result.map.f32()[i] = static_cast<float>(sums[static_cast<size_t>(i)] / expected);
  result.notes.push_back(str(options.samples, " masks of ", kCells, " x ", kCells, " cells, of which half are seen"));
  return result;
}

VITKIT_REGISTER_METHOD("rise", .title = "RISE",
                       .summary = "mean score of the picture while a place is seen, over random masks",
                       .source = "Petsiuk et al. 2018, arXiv 1806.07421", .explain = rise);

}  // namespace

}  // namespace vit
