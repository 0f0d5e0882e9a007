// Spatter: drops of water (severities 1 to 3) or mud (4 and 5) on the lens.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "datasets/corruption.h"
#include "datasets/float_picture.h"

namespace datasets {

namespace {

struct Spatter {
  float mean, deviation;  // of the noise that drops are made of
  double sigma;           // its smoothing: their size
  float threshold;        // below it there is no drop
  float strength;         // water: its brightest; mud: the smoothing of its edges, in pixels
  bool mud;
};
constexpr CorruptionTable<Spatter> kSpatter = {{{{{0.65f, 0.3f, 4, 0.69f, 0.6f, false},
                                                  {0.65f, 0.3f, 3, 0.68f, 0.6f, false},
                                                  {0.65f, 0.3f, 2, 0.68f, 0.5f, false},
                                                  {0.65f, 0.3f, 1, 0.65f, 1.5f, true},
                                                  {0.67f, 0.4f, 1, 0.65f, 1.5f, true}}},
                                                {{{0.62f, 0.1f, 0.7, 0.7f, 0.6f, false},
                                                  {0.65f, 0.1f, 0.8, 0.7f, 0.6f, false},
                                                  {0.65f, 0.3f, 1, 0.69f, 0.6f, false},
                                                  {0.65f, 0.1f, 0.7, 0.68f, 0.6f, true},
                                                  {0.65f, 0.1f, 0.5, 0.67f, 0.6f, true}}},
                                                {{{0.62f, 0.1f, 0.7, 0.7f, 0.5f, false},
                                                  {0.65f, 0.1f, 0.8, 0.7f, 0.5f, false},
                                                  {0.65f, 0.3f, 1, 0.69f, 0.5f, false},
                                                  {0.65f, 0.1f, 0.7, 0.69f, 0.6f, true},
                                                  {0.65f, 0.1f, 0.5, 0.68f, 0.6f, true}}}}};

constexpr std::array<float, 3> kWater = {175.0f / 255.0f, 238.0f / 255.0f, 238.0f / 255.0f};
constexpr std::array<float, 3> kMud = {63.0f / 255.0f, 42.0f / 255.0f, 20.0f / 255.0f};

FloatPicture liquid_layer(int64_t height, int64_t width, const Spatter& spatter, vit::Rng& rng) {
  FloatPicture layer(height, width, 1);
  for (float& value : layer.values) value = spatter.mean + spatter.deviation * rng.normal();
  gaussian_blur(layer, spatter.sigma);
  for (float& value : layer.values)
    if (value < spatter.threshold) value = 0.0f;
  return layer;
}

/// Distance of each pixel from the nearest edge of a drop, up to `most`: the edges' neighbourhoods are searched, which
/// is exact. An edge is a pixel of a drop beside one of none.
FloatPicture edge_distance(const FloatPicture& layer, int64_t most) {
  FloatPicture result(layer.height, layer.width, 1, static_cast<float>(most));
  const auto wet = [&](int64_t y, int64_t x) {
    return layer.row(index_inside(y, layer.height, Edge::nearest))[index_inside(x, layer.width, Edge::nearest)] > 0.0f;
  };
  FloatPicture along(layer.height, layer.width, 1, static_cast<float>(most));  // to an edge in the same row
  for (int64_t y = 0; y < layer.height; ++y) {
    float* row = along.row(y);
    for (int64_t x = 0; x < layer.width; ++x)
      if (wet(y, x) && (!wet(y - 1, x) || !wet(y + 1, x) || !wet(y, x - 1) || !wet(y, x + 1))) row[x] = 0.0f;
    for (int64_t x = 1; x < layer.width; ++x) row[x] = std::min(row[x], row[x - 1] + 1.0f);
    for (int64_t x = layer.width - 1; x > 0; --x) row[x - 1] = std::min(row[x - 1], row[x] + 1.0f);
  }
  for (int64_t y = 0; y < layer.height; ++y)
    for (int64_t other = std::max<int64_t>(0, y - most); other < std::min(layer.height, y + most + 1); ++other) {
      const auto across = static_cast<float>((other - y) * (other - y));
      const float* row = along.row(other);
      for (int64_t x = 0; x < layer.width; ++x)
        result.row(y)[x] = std::min(result.row(y)[x], std::sqrt(row[x] * row[x] + across));
    }
  return result;
}

/// 3 x 3 weights, row by row (as correlation), at Edge::reflect_101; whole numbers 0 to 255.
FloatPicture filtered(const FloatPicture& picture, const std::array<float, 9>& weights) {
  const FloatPicture wide = padded(picture, 1, Edge::reflect_101);
  FloatPicture result(picture.height, picture.width, 1);
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x) {
      float sum = 0.0f;
      for (int64_t k = 0; k < 9; ++k) sum += weights[static_cast<size_t>(k)] * wide.row(y + k / 3)[x + k % 3];
      result.row(y)[x] = std::clamp(std::nearbyint(sum), 0.0f, 255.0f);
    }
  return result;
}

/// cv2.equalizeHist of whole numbers 0 to 255, in place.
void equalize_levels(FloatPicture& picture) {
  std::array<int64_t, 256> counts{};
  for (const float value : picture.values) ++counts[static_cast<size_t>(value)];
  size_t first = 0;
  while (counts[first] == 0) ++first;
  const auto total = static_cast<int64_t>(picture.values.size());
  const int64_t others = total - counts[first];
  if (others == 0) return;
  std::array<float, 256> levels{};
  int64_t below = 0;
  for (size_t i = first + 1; i < levels.size(); ++i) {
    below += counts[i];
    levels[i] = std::nearbyint(255.0f * static_cast<float>(below) / static_cast<float>(others));
  }
  for (float& value : picture.values) value = levels[static_cast<size_t>(value)];
}

/// How bright the water is, 0 to `strength`: the drops in relief, from the distance to their edges.
FloatPicture water_mask(FloatPicture layer, float strength) {
  constexpr int64_t kReach = 20;
  const std::array<float, 9> mean = {1.0f / 9, 1.0f / 9, 1.0f / 9, 1.0f / 9, 1.0f / 9,
                                     1.0f / 9, 1.0f / 9, 1.0f / 9, 1.0f / 9};
  FloatPicture relief = filtered(edge_distance(layer, kReach), mean);
  equalize_levels(relief);
  relief = filtered(filtered(relief, {-2, -1, 0, -1, 1, 1, 0, 1, 2}), mean);
  float brightest = 0.0f;
  for (size_t i = 0; i < layer.values.size(); ++i) {
    layer.values[i] *= relief.values[i];
    brightest = std::max(brightest, layer.values[i]);
  }
  if (brightest > 0.0f)
    for (float& value : layer.values) value *= strength / brightest;
  return layer;
}

FloatPicture mud_mask(FloatPicture layer, double sigma) {
  for (float& value : layer.values) value = value > 0.0f ? 1.0f : 0.0f;
  gaussian_blur(layer, sigma);
  constexpr float kThinnest = 0.8f;
  for (float& value : layer.values)
    if (value < kThinnest) value = 0.0f;
  return layer;
}

vit::Image spatter(const vit::Image& image, const CorruptionLevel& level, vit::Rng& rng) {
  const Spatter& parameters = level.of(kSpatter);
  FloatPicture picture = floats_of(image);
  const FloatPicture layer = liquid_layer(picture.height, picture.width, parameters, rng);
  const FloatPicture mask =
      parameters.mud ? mud_mask(layer, parameters.strength) : water_mask(layer, parameters.strength);
  for (size_t i = 0; i < picture.values.size(); ++i) {
    float& value = picture.values[i];
    const float covered = mask.values[i / 3];
    value = parameters.mud ? value * (1.0f - covered) + covered * kMud[i % 3] : value + covered * kWater[i % 3];
  }
  return image_of(picture);
}

}  // namespace

VITKIT_REGISTER_CORRUPTION("spatter", .position = 17, .group = "weather", .is_extra = true,
                           .summary = "drops of water, then mud, on the lens",
                           .source = "Hendrycks, Dietterich 2019, section 3.1, with plainer edges of drops",
                           .is_random = true, .apply = spatter);

}  // namespace datasets
