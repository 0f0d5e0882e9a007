#include "datasets/erase.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "datasets/augment_random.h"
#include "vit/image/resize.h"

namespace datasets {

namespace {

constexpr int kTries = 10;

void fill_window(float* pixels, const vit::Extent& extent, const vit::Window& window, EraseFill fill, vit::Rng& rng) {
  for (int64_t c = 0; c < 3; ++c) {
    const float colour = fill == EraseFill::kRand ? rng.normal() : 0.0f;
    for (int64_t y = 0; y < window.height; ++y) {
      float* row = pixels + (c * extent.height + window.top + y) * extent.width + window.left;
      if (fill == EraseFill::kPixel)
        std::generate_n(row, window.width, [&] { return rng.normal(); });
      else
        std::fill_n(row, window.width, colour);
    }
  }
}

}  // namespace

void random_erase(float* pixels, const vit::Extent& extent, const EraseOptions& options, vit::Rng& rng) {
  if (!random_chance(rng, options.probability)) return;
  const int64_t count = options.count > 1 ? 1 + random_index(rng, options.count) : options.count;
  const double area = static_cast<double>(extent.height * extent.width) / static_cast<double>(count);
  const double log_aspect = std::log(options.min_aspect);
  for (int64_t i = 0; i < count; ++i) {
    for (int attempt = 0; attempt < kTries; ++attempt) {
      const double target = random_between(rng, options.min_area, options.max_area) * area;
      const double aspect = std::exp(random_between(rng, log_aspect, -log_aspect));
      const auto height = static_cast<int64_t>(std::nearbyint(std::sqrt(target * aspect)));
      const auto width = static_cast<int64_t>(std::nearbyint(std::sqrt(target / aspect)));
      if (height >= extent.height || width >= extent.width) continue;
      const int64_t top = random_index(rng, extent.height - height + 1);
      const int64_t left = random_index(rng, extent.width - width + 1);
      fill_window(pixels, extent, {top, left, height, width}, options.fill, rng);
      break;
    }
  }
}

}  // namespace datasets
