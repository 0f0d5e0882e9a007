// Blur: defocus_blur, glass_blur, motion_blur, zoom_blur, gaussian_blur.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "datasets/augment_random.h"
#include "datasets/corruption.h"
#include "datasets/float_picture.h"

namespace datasets {

namespace {

constexpr const char* kSource = "Hendrycks, Dietterich 2019, section 3.1";

struct Defocus {
  double radius, alias_blur;  // of the disk, and of the Gaussian that smooths its edge; pixels
};
constexpr CorruptionTable<Defocus> kDefocus = {{{{{3, 0.1}, {4, 0.5}, {6, 0.5}, {8, 0.5}, {10, 0.5}}},
                                                {{{0.5, 0.6}, {1, 0.1}, {1.5, 0.1}, {2.5, 0.01}, {3, 0.1}}},
                                                {{{0.3, 0.4}, {0.4, 0.5}, {0.5, 0.6}, {1, 0.2}, {1.5, 0.1}}}}};

struct Glass {
  double sigma;
  int64_t reach, rounds;  // pixels come from at most this far away, this many times
};
constexpr CorruptionTable<Glass> kGlass = {{{{{0.7, 1, 2}, {0.9, 2, 1}, {1, 2, 3}, {1.1, 3, 2}, {1.5, 4, 2}}},
                                            {{{0.1, 1, 1}, {0.5, 1, 1}, {0.6, 1, 2}, {0.7, 2, 1}, {0.9, 2, 2}}},
                                            {{{0.05, 1, 1}, {0.25, 1, 1}, {0.4, 1, 1}, {0.25, 1, 2}, {0.4, 1, 2}}}}};

struct Motion {
  double radius, sigma;
};
constexpr CorruptionTable<Motion> kMotion = {{{{{10, 3}, {15, 5}, {15, 8}, {15, 12}, {20, 15}}},
                                              {{{10, 1}, {10, 1.5}, {10, 2}, {10, 2.5}, {12, 3}}},
                                              {{{6, 1}, {6, 1.5}, {6, 2}, {8, 2}, {9, 2.5}}}}};

struct Zoom {
  double step;
  int64_t count;  // factors 1, 1 + step, ...
};
/// The counts are those of numpy's arange, which sometimes includes the end.
constexpr CorruptionTable<Zoom> kZoom = {{{{{0.01, 12}, {0.01, 16}, {0.02, 11}, {0.02, 13}, {0.03, 11}}},
                                          {{{0.01, 7}, {0.01, 12}, {0.01, 16}, {0.01, 21}, {0.01, 26}}},
                                          {{{0.01, 7}, {0.01, 12}, {0.01, 16}, {0.01, 21}, {0.01, 26}}}}};

/// Standard deviations, pixels.
constexpr CorruptionTable<double> kGaussian = {{{1, 2, 3, 4, 6}, {0.5, 0.75, 1, 1.25, 1.5}, {0.4, 0.6, 0.7, 0.8, 1}}};

/// Sums over a disk, by rows: half[k] is how far the row k - radius of the disk reaches to both sides.
struct Disk {
  int64_t radius = 0, pixels = 0;
  std::vector<int64_t> half{};

  explicit Disk(double exact_radius) : radius(static_cast<int64_t>(exact_radius)) {
    const double square = exact_radius * exact_radius;
    for (int64_t y = -radius; y <= radius; ++y) {
      half.push_back(static_cast<int64_t>(std::sqrt(square - static_cast<double>(y * y))));
      pixels += 2 * half.back() + 1;
    }
  }
};

/// Running sums along the rows of a picture and `margin` pixels around it: [height + 2 margin, width + 2 margin + 1,
/// 3]. Whole numbers, so that differences of sums are exact.
struct RowSums {
  int64_t row_size = 0;
  std::vector<int32_t> values{};

  RowSums(const vit::Image& image, int64_t margin) : row_size((image.width() + 2 * margin + 1) * 3) {
    values.reserve(static_cast<size_t>((image.height() + 2 * margin) * row_size));
    for (int64_t y = -margin; y < image.height() + margin; ++y) {
      const uint8_t* row = image.row(index_inside(y, image.height(), Edge::reflect_101));
      std::array<int32_t, 3> sums{};
      values.insert(values.end(), sums.begin(), sums.end());
      for (int64_t x = -margin; x < image.width() + margin; ++x) {
        const uint8_t* pixel = row + 3 * index_inside(x, image.width(), Edge::reflect_101);
        for (size_t c = 0; c < 3; ++c) sums[c] += pixel[c];
        values.insert(values.end(), sums.begin(), sums.end());
      }
    }
  }
  const int32_t* at(int64_t y, int64_t x) const { return values.data() + y * row_size + 3 * x; }
};

/// Means over the disk around every pixel of the picture and of `border` pixels around it.
FloatPicture disk_means(const vit::Image& image, const Disk& disk, int64_t border) {
  const int64_t margin = disk.radius + border;
  const RowSums sums(image, margin);
  FloatPicture result(image.height() + 2 * border, image.width() + 2 * border, 3);
  const float scale = 1.0f / (255.0f * static_cast<float>(disk.pixels));
  std::vector<int32_t> total(static_cast<size_t>(result.row_size()));
  for (int64_t y = 0; y < result.height; ++y) {
    std::fill(total.begin(), total.end(), 0);
    for (size_t k = 0; k < disk.half.size(); ++k) {
      const int64_t row = y + static_cast<int64_t>(k);
      const int32_t* left = sums.at(row, disk.radius - disk.half[k]);
      const int32_t* right = sums.at(row, disk.radius + disk.half[k] + 1);
      for (size_t i = 0; i < total.size(); ++i) total[i] += right[i] - left[i];
    }
    for (size_t i = 0; i < total.size(); ++i) result.row(y)[i] = static_cast<float>(total[i]) * scale;
  }
  return result;
}

/// cv2.filter2D with a disk that cv2.GaussianBlur smoothed with 3 x 3 weights (5 x 5 for large ones).
vit::Image defocus_blur(const vit::Image& image, const CorruptionLevel& level, vit::Rng&) {
  const Defocus& defocus = level.of(kDefocus);
  const int64_t border = defocus.radius <= 8 ? 1 : 2;
  FloatPicture wide = disk_means(image, Disk(defocus.radius), border);
  gaussian_blur(wide, defocus.alias_blur, static_cast<double>(border) / defocus.alias_blur);
  FloatPicture result(image.height(), image.width(), 3);
  for (int64_t y = 0; y < result.height; ++y)
    std::copy_n(wide.row(y + border) + 3 * border, result.row_size(), result.row(y));
  return image_of(result);
}

/// Every pixel takes the colour of one nearby, from the lower right to the upper left, so that colours wander.
void scatter(vit::Image& image, int64_t reach, vit::Rng& rng) {
  for (int64_t y = image.height() - reach; y > reach; --y)
    for (int64_t x = image.width() - reach; x > reach; --x) {
      const int64_t dx = random_index(rng, 2 * reach) - reach, dy = random_index(rng, 2 * reach) - reach;
      std::copy_n(image.row(y + dy) + 3 * (x + dx), 3, image.row(y) + 3 * x);
    }
}

vit::Image glass_blur(const vit::Image& image, const CorruptionLevel& level, vit::Rng& rng) {
  const Glass& glass = level.of(kGlass);
  FloatPicture picture = floats_of(image);
  gaussian_blur(picture, glass.sigma);
  vit::Image scattered = image_of(picture);
  for (int64_t round = 0; round < glass.rounds; ++round) scatter(scattered, glass.reach, rng);
  picture = floats_of(scattered);
  gaussian_blur(picture, glass.sigma);
  return image_of(picture);
}

vit::Image motion_blur(const vit::Image& image, const CorruptionLevel& level, vit::Rng& rng) {
  const Motion& motion = level.of(kMotion);
  return image_of(motion_blurred(floats_of(image), motion.radius, motion.sigma, random_between(rng, -45.0, 45.0)));
}

vit::Image zoom_blur(const vit::Image& image, const CorruptionLevel& level, vit::Rng&) {
  const Zoom& zoom = level.of(kZoom);
  const FloatPicture picture = floats_of(image);
  FloatPicture sum = picture;
  for (int64_t i = 0; i < zoom.count; ++i) {
    const FloatPicture nearer = zoomed(picture, 1.0 + static_cast<double>(i) * zoom.step);
    for (size_t k = 0; k < sum.values.size(); ++k) sum.values[k] += nearer.values[k];
  }
  const float share = 1.0f / static_cast<float>(zoom.count + 1);
  for (float& value : sum.values) value *= share;
  return image_of(sum);
}

vit::Image gaussian_blurred(const vit::Image& image, const CorruptionLevel& level, vit::Rng&) {
  FloatPicture picture = floats_of(image);
  gaussian_blur(picture, level.of(kGaussian));
  return image_of(picture);
}

}  // namespace

VITKIT_REGISTER_CORRUPTION("defocus_blur", .position = 3, .group = "blur", .summary = "out of focus: a disk's mean",
                           .source = kSource, .apply = defocus_blur);
VITKIT_REGISTER_CORRUPTION("glass_blur", .position = 4, .group = "blur",
                           .summary = "frosted glass: pixels trade places with near ones", .source = kSource,
                           .is_random = true, .apply = glass_blur);
VITKIT_REGISTER_CORRUPTION("motion_blur", .position = 5, .group = "blur",
                           .summary = "a camera that moves, within 45 degrees of level", .source = kSource,
                           .is_random = true, .apply = motion_blur);
VITKIT_REGISTER_CORRUPTION("zoom_blur", .position = 6, .group = "blur",
                           .summary = "a camera that comes nearer: the mean of magnified pictures", .source = kSource,
                           .apply = zoom_blur);
VITKIT_REGISTER_CORRUPTION("gaussian_blur", .position = 16, .group = "blur", .is_extra = true,
                           .summary = "a Gaussian's mean", .source = kSource, .apply = gaussian_blurred);

}  // namespace datasets
