#include "vit/core/rng.h"

#include <cmath>
#include <numbers>

namespace vit {

namespace {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

uint32_t low(uint64_t value) { return static_cast<uint32_t>(value); }
uint32_t high(uint64_t value) { return static_cast<uint32_t>(value >> 32); }

}  // namespace

uint32_t Rng::next_u32() {
  if (left_ == 0) {
    block_ = philox({low(position_), high(position_), low(stream_), high(stream_)}, {low(seed_), high(seed_)});
    ++position_;
    left_ = 4;
  }
  return block_[static_cast<size_t>(4 - left_--)];
}

float Rng::uniform() { return static_cast<float>(next_u32() >> 8) * 0x1p-24f; }

float Rng::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  // 1 - u lies in (0, 1] and is exact, so the logarithm is finite.
  const float radius = std::sqrt(-2.0f * std::log(1.0f - uniform()));
  const float angle = 2.0f * std::numbers::pi_v<float> * uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

float Rng::truncated_normal() {
  for (;;) {
    const float value = normal();
    if (std::abs(value) <= 2.0f) return value;
  }
}

uint64_t Rng::stream_of(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3ull;
  return hash;
}

void fill_normal(Tensor& tensor, Rng& rng, float std, float mean) {
  for (float& value : tensor.span<float>()) value = mean + std * rng.normal();
}

void fill_truncated_normal(Tensor& tensor, Rng& rng, float std) {
  for (float& value : tensor.span<float>()) value = std * rng.truncated_normal();
}

void fill_uniform(Tensor& tensor, Rng& rng, float low_bound, float high_bound) {
  for (float& value : tensor.span<float>()) value = low_bound + (high_bound - low_bound) * rng.uniform();
}

}  // namespace vit
