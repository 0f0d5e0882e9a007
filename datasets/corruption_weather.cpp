// Weather: snow, fog, brightness. Frost and spatter have files of their own.
#include <algorithm>
#include <array>

#include "datasets/augment_random.h"
#include "datasets/corruption.h"
#include "datasets/float_picture.h"

namespace datasets {

namespace {

constexpr const char* kSource = "Hendrycks, Dietterich 2019, section 3.1";

struct Snow {
  float mean, deviation;  // of the noise that flakes are made of
  double zoom;            // their size
  float threshold;        // below it there is no flake
  double radius, sigma;   // of their motion
  float kept;             // share of the picture that is not whitened
};
constexpr CorruptionTable<Snow> kSnow = {{{{{0.1f, 0.3f, 3, 0.5f, 10, 4, 0.8f},
                                            {0.2f, 0.3f, 2, 0.5f, 12, 4, 0.7f},
                                            {0.55f, 0.3f, 4, 0.9f, 12, 8, 0.7f},
                                            {0.55f, 0.3f, 4.5, 0.85f, 12, 8, 0.65f},
                                            {0.55f, 0.3f, 2.5, 0.85f, 12, 12, 0.55f}}},
                                          {{{0.1f, 0.2f, 1, 0.6f, 8, 3, 0.8f},
                                            {0.1f, 0.2f, 1, 0.5f, 10, 4, 0.8f},
                                            {0.15f, 0.3f, 1.75, 0.55f, 10, 4, 0.7f},
                                            {0.25f, 0.3f, 2.25, 0.6f, 12, 6, 0.65f},
                                            {0.3f, 0.3f, 1.25, 0.65f, 14, 12, 0.6f}}},
                                          {{{0.1f, 0.2f, 1, 0.6f, 8, 3, 0.95f},
                                            {0.1f, 0.2f, 1, 0.5f, 10, 4, 0.9f},
                                            {0.15f, 0.3f, 1.75, 0.55f, 10, 4, 0.9f},
                                            {0.25f, 0.3f, 2.25, 0.6f, 12, 6, 0.85f},
                                            {0.3f, 0.3f, 1.25, 0.65f, 14, 12, 0.8f}}}}};

struct Fog {
  float amount;
  double decay;  // of the clouds' detail
};
constexpr CorruptionTable<Fog> kFog = {{{{{1.5f, 2}, {2, 2}, {2.5f, 1.7}, {2.5f, 1.5}, {3, 1.4}}},
                                        {{{0.4f, 3}, {0.7f, 3}, {1, 2.5}, {1.5f, 2}, {2, 1.75}}},
                                        {{{0.2f, 3}, {0.5f, 3}, {0.75f, 2.5}, {1, 2}, {1.5f, 1.75}}}}};

/// Added to the value of HSV.
constexpr CorruptionTable<float> kBrightness = {
    {{0.1f, 0.2f, 0.3f, 0.4f, 0.5f}, {0.1f, 0.2f, 0.3f, 0.4f, 0.5f}, {0.05f, 0.1f, 0.15f, 0.2f, 0.3f}}};

/// Flakes that a wind within 45 degrees of straight down has smeared, [height, width, 1].
FloatPicture snow_layer(int64_t height, int64_t width, const Snow& snow, vit::Rng& rng) {
  FloatPicture noise(height, width, 1);
  for (float& value : noise.values) value = snow.mean + snow.deviation * rng.normal();
  FloatPicture flakes = zoomed(noise, snow.zoom);
  for (float& value : flakes.values) value = value < snow.threshold ? 0.0f : std::min(value, 1.0f);
  return motion_blurred(flakes, snow.radius, snow.sigma, random_between(rng, -135.0, -45.0));
}

vit::Image snow(const vit::Image& image, const CorruptionLevel& level, vit::Rng& rng) {
  const Snow& parameters = level.of(kSnow);
  FloatPicture picture = floats_of(image);
  const FloatPicture layer = snow_layer(picture.height, picture.width, parameters, rng);
  const size_t pixels = layer.values.size();
  for (size_t i = 0; i < pixels; ++i) {
    float* rgb = picture.values.data() + 3 * i;
    const float white = 1.5f * (0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]) + 0.5f;
    const float flakes = layer.values[i] + layer.values[pixels - 1 - i];  // and the layer turned by 180 degrees
    for (size_t c = 0; c < 3; ++c)
      rgb[c] = parameters.kept * rgb[c] + (1.0f - parameters.kept) * std::max(rgb[c], white) + flakes;
  }
  return image_of(picture);
}

vit::Image fog(const vit::Image& image, const CorruptionLevel& level, vit::Rng& rng) {
  const Fog& parameters = level.of(kFog);
  FloatPicture picture = floats_of(image);
  const FloatPicture clouds = plasma(picture.height, picture.width, parameters.decay, rng);
  const float brightest = *std::max_element(picture.values.begin(), picture.values.end());
  const float scale = brightest / (brightest + parameters.amount);
  for (size_t i = 0; i < picture.values.size(); ++i)
    picture.values[i] = (picture.values[i] + parameters.amount * clouds.values[i / 3]) * scale;
  return image_of(picture);
}

/// With hue and saturation kept, a larger value scales the three channels alike; black becomes grey.
vit::Image brightness(const vit::Image& image, const CorruptionLevel& level, vit::Rng&) {
  const float more = level.of(kBrightness);
  FloatPicture picture = floats_of(image);
  for (size_t i = 0; i < picture.values.size(); i += 3) {
    float* rgb = &picture.values[i];
    const float value = std::max({rgb[0], rgb[1], rgb[2]}), brighter = std::min(value + more, 1.0f);
    for (size_t c = 0; c < 3; ++c) rgb[c] = value > 0.0f ? rgb[c] * (brighter / value) : brighter;
  }
  return image_of(picture);
}

}  // namespace

VITKIT_REGISTER_CORRUPTION("snow", .position = 7, .group = "weather",
                           .summary = "driven snow before a whitened picture", .source = kSource, .is_random = true,
                           .apply = snow);
VITKIT_REGISTER_CORRUPTION("fog", .position = 9, .group = "weather", .summary = "clouds of a diamond-square fractal",
                           .source = kSource, .is_random = true, .apply = fog);
VITKIT_REGISTER_CORRUPTION("brightness", .position = 10, .group = "weather", .summary = "a larger value of HSV",
                           .source = kSource, .apply = brightness);

}  // namespace datasets
