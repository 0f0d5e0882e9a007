#include "vit/image/blur.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "vit/core/check.h"

namespace vit {

namespace {

constexpr float kMaxSigma = 40.0f;

/// Weights of 1/256 that sum to 256, so that sums of bytes fit into 16 bits: [2 * radius + 1].
std::vector<uint16_t> gaussian_weights(float sigma) {
  check(sigma >= 0.0f && sigma <= kMaxSigma, "blur: expected sigma from 0 to ", kMaxSigma, ", got ", sigma);
  const int radius = static_cast<int>(std::ceil(2.5f * sigma));
  std::vector<float> exact;
  float sum = 0.0f;
  for (int i = -radius; i <= radius; ++i) {
    const float distance = static_cast<float>(i) / std::max(sigma, 1e-3f);
    exact.push_back(std::exp(-0.5f * distance * distance));
    sum += exact.back();
  }
  std::vector<uint16_t> weights;
  int left = 256;
  for (float value : exact) {
    weights.push_back(static_cast<uint16_t>(value / sum * 256.0f));
    left -= weights.back();
  }
  weights[static_cast<size_t>(radius)] = static_cast<uint16_t>(weights[static_cast<size_t>(radius)] + left);
  return weights;
}

/// sums += weight * from, [count]
void add_weighted(uint16_t* sums, const uint8_t* from, uint16_t weight, size_t count) {
  for (size_t i = 0; i < count; ++i) sums[i] = static_cast<uint16_t>(sums[i] + weight * from[i]);
}

void store(uint8_t* to, const std::vector<uint16_t>& sums) {
  for (size_t i = 0; i < sums.size(); ++i)
    to[i] = static_cast<uint8_t>((std::min<unsigned>(sums[i], 65407u) + 128u) >> 8);
}

/// data [height, width, channels], in place: rows, then columns.
void blur_samples(uint8_t* data, size_t height, size_t width, size_t channels, float sigma) {
  const std::vector<uint16_t> weights = gaussian_weights(sigma);
  const size_t radius = weights.size() / 2, count = width * channels;
  if (radius == 0) return;
  std::vector<uint8_t> padded(count + 2 * radius * channels), rows(height * count);
  std::vector<uint16_t> sums(count);
  for (size_t y = 0; y < height; ++y) {
    const uint8_t* row = data + y * count;
    std::memcpy(padded.data() + radius * channels, row, count);
    for (size_t i = 0; i < radius; ++i) {
      std::memcpy(padded.data() + i * channels, row, channels);
      std::memcpy(padded.data() + (radius + width + i) * channels, row + count - channels, channels);
    }
    std::fill(sums.begin(), sums.end(), uint16_t{0});
    for (size_t k = 0; k < weights.size(); ++k)
      add_weighted(sums.data(), padded.data() + k * channels, weights[k], count);
    store(rows.data() + y * count, sums);
  }
  for (size_t y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), uint16_t{0});
    for (size_t k = 0; k < weights.size(); ++k) {
      const size_t from = std::clamp<size_t>(y + k, radius, height - 1 + radius) - radius;
      add_weighted(sums.data(), rows.data() + from * count, weights[k], count);
    }
    store(data + y * count, sums);
  }
}

}  // namespace

void blur(Image& image, float sigma) {
  blur_samples(image.row(0), static_cast<size_t>(image.height()), static_cast<size_t>(image.width()), 3, sigma);
}

Mask blurred(const Mask& mask, float sigma) {
  if (mask.rect.empty()) return mask;
  const auto reach = static_cast<int64_t>(gaussian_weights(sigma).size() / 2) + 1;
  Mask result;
  result.rect = {mask.rect.x0 - reach, mask.rect.y0 - reach, mask.rect.x1 + reach, mask.rect.y1 + reach};
  result.values.assign(static_cast<size_t>(result.rect.width() * result.rect.height()), 0);
  for (int64_t y = mask.rect.y0; y < mask.rect.y1; ++y)
    std::copy_n(mask.row(y), mask.rect.width(), result.row(y) + reach);
  blur_samples(result.values.data(), static_cast<size_t>(result.rect.height()),
               static_cast<size_t>(result.rect.width()), 1, sigma);
  return result;
}

}  // namespace vit
