// Digital: contrast, pixelate, jpeg_compression, saturate. The elastic transform has a file of its own.
#include <algorithm>
#include <array>
#include <span>

#include "datasets/corruption.h"
#include "datasets/float_picture.h"
#include "vit/image/decode.h"
#include "vit/image/encode.h"
#include "vit/image/resize.h"

namespace datasets {

namespace {

constexpr const char* kSource = "Hendrycks, Dietterich 2019, section 3.1";

/// What is left of the distance from the mean.
constexpr CorruptionTable<double> kContrast = {
    {{0.4, 0.3, 0.2, 0.1, 0.05}, {0.4, 0.3, 0.2, 0.1, 0.05}, {0.75, 0.5, 0.4, 0.3, 0.15}}};
/// Share of the extents.
constexpr CorruptionTable<double> kPixelate = {
    {{0.6, 0.5, 0.4, 0.3, 0.25}, {0.9, 0.8, 0.7, 0.6, 0.5}, {0.95, 0.9, 0.85, 0.75, 0.65}}};
/// JPEG's quality.
constexpr CorruptionTable<int> kJpeg = {{{25, 18, 15, 10, 7}, {65, 58, 50, 40, 25}, {80, 65, 58, 50, 40}}};

struct Saturation {
  float factor, more;
};
constexpr CorruptionTable<Saturation> kSaturate = {{{{{0.3f, 0}, {0.1f, 0}, {2, 0}, {5, 0.1f}, {20, 0.2f}}},
                                                    {{{0.3f, 0}, {0.1f, 0}, {2, 0}, {5, 0.1f}, {30, 0.2f}}},
                                                    {{{0.3f, 0}, {0.1f, 0}, {1.5f, 0}, {2, 0.1f}, {2.5f, 0.2f}}}}};

vit::Image contrast(const vit::Image& image, const CorruptionLevel& level, vit::Rng&) {
  const double left = level.of(kContrast);
  const std::span<const uint8_t> bytes = image.pixels.span<uint8_t>();
  std::array<int64_t, 3> sums{};
  for (size_t i = 0; i < bytes.size(); ++i) sums[i % 3] += bytes[i];
  FloatPicture picture(image.height(), image.width(), 3);
  const auto pixels = static_cast<double>(image.height() * image.width());
  for (size_t i = 0; i < bytes.size(); ++i) {
    const double mean = static_cast<double>(sums[i % 3]) / pixels;
    picture.values[i] = static_cast<float>(((bytes[i] - mean) * left + mean) / 255.0);
  }
  return image_of(picture);
}

vit::Image pixelate(const vit::Image& image, const CorruptionLevel& level, vit::Rng&) {
  const double share = level.of(kPixelate);
  const auto fewer = [&](int64_t extent) {
    return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(extent) * share));
  };
  const vit::Image small =
      vit::resize(image, {.height = fewer(image.height()), .width = fewer(image.width()), .filter = vit::Filter::kBox});
  return vit::resize(small, {.height = image.height(), .width = image.width(), .filter = vit::Filter::kBox});
}

vit::Image jpeg_compression(const vit::Image& image, const CorruptionLevel& level, vit::Rng&) {
  const std::string bytes = vit::encode_jpeg(image, level.of(kJpeg));
  return vit::decode_image(std::as_bytes(std::span(bytes)), "jpeg_compression",
                           {.max_pixels = image.height() * image.width()});
}

/// A channel lies below the value of HSV by value * saturation * a share that follows from the hue. Grey has hue 0,
/// red, as in scikit-image: it turns reddish where `more` is above 0.
vit::Image saturate(const vit::Image& image, const CorruptionLevel& level, vit::Rng&) {
  const Saturation& parameters = level.of(kSaturate);
  FloatPicture picture = floats_of(image);
  for (size_t i = 0; i < picture.values.size(); i += 3) {
    float* rgb = &picture.values[i];
    const float value = std::max({rgb[0], rgb[1], rgb[2]}), least = std::min({rgb[0], rgb[1], rgb[2]});
    const float chroma = value - least;
    const float saturation = value > 0.0f ? chroma / value : 0.0f;
    const float wanted = std::clamp(saturation * parameters.factor + parameters.more, 0.0f, 1.0f);
    for (size_t c = 0; c < 3; ++c) {
      const float grey_share = c == 0 ? 0.0f : 1.0f;
      const float share = chroma > 0.0f ? (value - rgb[c]) / chroma : grey_share;
      rgb[c] = value * (1.0f - wanted * share);
    }
  }
  return image_of(picture);
}

}  // namespace

VITKIT_REGISTER_CORRUPTION("contrast", .position = 11, .group = "digital",
                           .summary = "samples move towards their channel's mean", .source = kSource,
                           .apply = contrast);
VITKIT_REGISTER_CORRUPTION("pixelate", .position = 13, .group = "digital",
                           .summary = "scaled down and up again, in blocks", .source = kSource, .apply = pixelate);
VITKIT_REGISTER_CORRUPTION("jpeg_compression", .position = 14, .group = "digital", .summary = "JPEG of a low quality",
                           .source = kSource, .apply = jpeg_compression);
VITKIT_REGISTER_CORRUPTION("saturate", .position = 18, .group = "digital", .is_extra = true,
                           .summary = "less, then more colour", .source = kSource, .apply = saturate);

}  // namespace datasets
