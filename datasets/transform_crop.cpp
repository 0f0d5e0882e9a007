#include "datasets/transform_crop.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "datasets/augment_random.h"
#include "vit/core/check.h"

namespace datasets {

namespace {

constexpr int kCropTries = 10;  // as torchvision and timm

/// Python's int(round(x)): half to even.
int64_t rounded(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

double random_log_between(vit::Rng& rng, const std::array<double, 2>& range) {
  return std::exp(random_between(rng, std::log(range[0]), std::log(range[1])));
}

void check_window(const vit::Window& window) {
  vit::check(window.height > 0 && window.width > 0, "crop: expected extents of at least 1, got ", window.height, " x ",
             window.width);
}

/// Index in 0 .. count - 1 that an index outside is mirrored to; the edge pixel itself is not repeated.
int64_t reflected(int64_t index, int64_t count) {
  if (count == 1) return 0;
  const int64_t period = 2 * (count - 1);
  const int64_t offset = ((index % period) + period) % period;
  return offset < count ? offset : period - offset;
}

}  // namespace

vit::Window random_resized_crop(const vit::Extent& source, const std::array<double, 2>& scale,
                                const std::array<double, 2>& ratio, vit::Rng& rng) {
  const auto height = static_cast<double>(source.height), width = static_cast<double>(source.width);
  for (int attempt = 0; attempt < kCropTries; ++attempt) {
    const double area = random_between(rng, scale[0], scale[1]) * height * width;
    const double aspect = random_log_between(rng, ratio);
    const int64_t crop_w = rounded(std::sqrt(area * aspect)), crop_h = rounded(std::sqrt(area / aspect));
    if (crop_w < 1 || crop_h < 1 || crop_w > source.width || crop_h > source.height) continue;
    const int64_t top = random_index(rng, source.height - crop_h + 1);
    const int64_t left = random_index(rng, source.width - crop_w + 1);
    return {top, left, crop_h, crop_w};
  }
  int64_t crop_w = source.width, crop_h = source.height;
  if (width / height < ratio[0]) crop_h = rounded(width / ratio[0]);
  if (width / height > ratio[1]) crop_w = rounded(height * ratio[1]);
  crop_h = std::clamp<int64_t>(crop_h, 1, source.height);
  crop_w = std::clamp<int64_t>(crop_w, 1, source.width);
  return {(source.height - crop_h) / 2, (source.width - crop_w) / 2, crop_h, crop_w};
}

vit::Extent random_keep_ratio(const vit::Extent& source, const vit::Extent& target, const std::array<double, 2>& scale,
                              const std::array<double, 2>& ratio, vit::Rng& rng) {
  const auto height = static_cast<double>(source.height), width = static_cast<double>(source.width);
  const double shrink =
      std::min(height / static_cast<double>(target.height), width / static_cast<double>(target.width));
  double factor_h = 1.0, factor_w = 1.0;
  if (random_chance(rng, 0.5)) factor_h = factor_w = 1.0 / std::sqrt(random_between(rng, scale[0], scale[1]));
  if (random_chance(rng, 0.5)) {
    const double aspect = std::sqrt(random_log_between(rng, ratio));
    factor_h /= aspect;
    factor_w *= aspect;
  }
  return {std::max<int64_t>(1, rounded(height * factor_h / shrink)),
          std::max<int64_t>(1, rounded(width * factor_w / shrink))};
}

vit::Image crop(const vit::Image& image, const vit::Window& window) {
  check_window(window);
  vit::check(window.top >= 0 && window.left >= 0 && window.top + window.height <= image.height() &&
                 window.left + window.width <= image.width(),
             "crop: the window reaches outside of the picture of ", image.height(), " x ", image.width());
  return crop_padded(image, window);
}

vit::Image crop_padded(const vit::Image& image, const vit::Window& window) {
  check_window(window);
  vit::Image result(window.height, window.width);
  const int64_t height = image.height(), width = image.width();
  const int64_t begin = std::clamp<int64_t>(-window.left, 0, window.width);
  const int64_t end = std::clamp<int64_t>(width - window.left, begin, window.width);
  const uint8_t* source = image.row(0);
  uint8_t* out = result.row(0);
  for (int64_t y = 0; y < window.height; ++y, out += 3 * window.width) {
    const int64_t from = window.top + y;
    if (from < 0 || from >= height) {
      std::memset(out, 0, static_cast<size_t>(3 * window.width));
      continue;
    }
    std::memset(out, 0, static_cast<size_t>(3 * begin));
    if (end > begin)
      std::memcpy(out + 3 * begin, source + 3 * (from * width + window.left + begin),
                  static_cast<size_t>(3 * (end - begin)));
    std::memset(out + 3 * end, 0, static_cast<size_t>(3 * (window.width - end)));
  }
  return result;
}

vit::Image crop_reflected(const vit::Image& image, const vit::Window& window) {
  check_window(window);
  vit::Image result(window.height, window.width);
  std::vector<int64_t> columns(static_cast<size_t>(window.width));
  for (int64_t x = 0; x < window.width; ++x)
    columns[static_cast<size_t>(x)] = 3 * reflected(window.left + x, image.width());
  for (int64_t y = 0; y < window.height; ++y) {
    const uint8_t* source = image.row(reflected(window.top + y, image.height()));
    uint8_t* out = result.row(y);
    for (const int64_t column : columns) out = std::copy_n(source + column, 3, out);
  }
  return result;
}

void flip_horizontal(vit::Image& image) {
  const int64_t width = image.width();
  for (int64_t y = 0; y < image.height(); ++y) {
    uint8_t* left = image.row(y);
    for (uint8_t* right = left + 3 * (width - 1); left < right; left += 3, right -= 3)
      std::swap_ranges(left, left + 3, right);
  }
}

void flip_vertical(vit::Image& image) {
  for (int64_t top = 0, bottom = image.height() - 1; top < bottom; ++top, --bottom)
    std::swap_ranges(image.row(top), image.row(top) + 3 * image.width(), image.row(bottom));
}

}  // namespace datasets
