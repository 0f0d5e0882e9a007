// Noise: gaussian_noise, shot_noise, impulse_noise, speckle_noise. Every sample (pixel and channel) has a draw of its
// own.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "datasets/corruption.h"
#include "datasets/float_picture.h"

namespace datasets {

namespace {

constexpr const char* kSource = "Hendrycks, Dietterich 2019, section 3.1";

/// Standard deviations, of 1 = white.
constexpr CorruptionTable<float> kGaussian = {
    {{0.08f, 0.12f, 0.18f, 0.26f, 0.38f}, {0.04f, 0.08f, 0.12f, 0.15f, 0.18f}, {0.04f, 0.06f, 0.08f, 0.09f, 0.10f}}};
/// Photons that white stands for.
constexpr CorruptionTable<double> kShot = {{{60, 25, 12, 5, 3}, {250, 100, 50, 30, 15}, {500, 250, 100, 75, 50}}};
/// Share of the samples.
constexpr CorruptionTable<double> kImpulse = {
    {{0.03, 0.06, 0.09, 0.17, 0.27}, {0.01, 0.02, 0.05, 0.08, 0.14}, {0.01, 0.02, 0.03, 0.05, 0.07}}};
/// Standard deviations, of the sample.
constexpr CorruptionTable<float> kSpeckle = {
    {{0.15f, 0.2f, 0.35f, 0.45f, 0.6f}, {0.15f, 0.2f, 0.25f, 0.3f, 0.35f}, {0.06f, 0.1f, 0.12f, 0.16f, 0.2f}}};

vit::Image gaussian_noise(const vit::Image& image, const CorruptionLevel& level, vit::Rng& rng) {
  const float deviation = level.of(kGaussian);
  FloatPicture picture = floats_of(image);
  for (float& value : picture.values) value += deviation * rng.normal();
  return image_of(picture);
}

/// Poisson numbers of one mean by inversion: cumulative probabilities up to where 24 bits of chance end.
class PoissonTable {
 public:
  explicit PoissonTable(double mean) {
    constexpr double kDone = 1.0 - 0x1p-26;
    double probability = std::exp(-mean), sum = probability;
    for (int64_t k = 1; sum < kDone && (probability > 0.0); ++k) {
      cumulative_.push_back(sum);
      probability *= mean / static_cast<double>(k);
      sum += probability;
    }
  }
  int64_t draw(double uniform) const {
    return std::upper_bound(cumulative_.begin(), cumulative_.end(), uniform) - cumulative_.begin();
  }

 private:
  std::vector<double> cumulative_;  // [k]: the probability of at most k
};

vit::Image shot_noise(const vit::Image& image, const CorruptionLevel& level, vit::Rng& rng) {
  const double photons = level.of(kShot);
  std::vector<PoissonTable> tables;
  for (int value = 0; value < 256; ++value) tables.emplace_back(photons * value / 255.0);
  FloatPicture picture(image.height(), image.width(), 3);
  const uint8_t* from = image.row(0);
  for (float& value : picture.values)
    value = static_cast<float>(static_cast<double>(tables[*from++].draw(rng.uniform())) / photons);
  return image_of(picture);
}

vit::Image impulse_noise(const vit::Image& image, const CorruptionLevel& level, vit::Rng& rng) {
  const double share = level.of(kImpulse);
  vit::Image result(image.pixels.clone());
  for (uint8_t& value : result.pixels.span<uint8_t>()) {
    const double chance = rng.uniform();
    if (chance < share) value = chance < 0.5 * share ? 0 : 255;
  }
  return result;
}

vit::Image speckle_noise(const vit::Image& image, const CorruptionLevel& level, vit::Rng& rng) {
  const float deviation = level.of(kSpeckle);
  FloatPicture picture = floats_of(image);
  for (float& value : picture.values) value += value * deviation * rng.normal();
  return image_of(picture);
}

}  // namespace

VITKIT_REGISTER_CORRUPTION("gaussian_noise", .position = 0, .group = "noise",
                           .summary = "normal noise, as in low light", .source = kSource, .is_random = true,
                           .apply = gaussian_noise);
VITKIT_REGISTER_CORRUPTION("shot_noise", .position = 1, .group = "noise",
                           .summary = "Poisson noise of few photons, stronger where it is bright", .source = kSource,
                           .is_random = true, .apply = shot_noise);
VITKIT_REGISTER_CORRUPTION("impulse_noise", .position = 2, .group = "noise",
                           .summary = "salt and pepper: samples become 0 or 255", .source = kSource, .is_random = true,
                           .apply = impulse_noise);
VITKIT_REGISTER_CORRUPTION("speckle_noise", .position = 15, .group = "noise", .is_extra = true,
                           .summary = "normal noise in proportion to the sample", .source = kSource, .is_random = true,
                           .apply = speckle_noise);

}  // namespace datasets
