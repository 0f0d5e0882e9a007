#include "datasets/hash.h"

#include <bit>
#include <cstring>

#include "vit/core/check.h"

namespace datasets {

namespace {

// Odd constants without structure (fractional digits of square roots).
constexpr uint64_t kFirst = 0x6A09E667F3BCC909ull, kSecond = 0xBB67AE8584CAA73Bull;

/// Every bit of the result depends on every bit of the word (Stafford, "Better Bit Mixing", variant 13).
uint64_t avalanche(uint64_t word) {
  word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9ull;
  word = (word ^ word >> 27) * 0x94D049BB133111EBull;
  return word ^ word >> 31;
}

uint64_t little_endian(const std::byte* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word;
}

}  // namespace

std::string Hash128::text() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string digits;
  for (const uint64_t word : {high, low})
    for (int shift = 60; shift >= 0; shift -= 4) digits += kDigits[word >> shift & 15u];
  return digits;
}

void Hasher::mix(uint64_t word) {
  a_ = std::rotl((a_ ^ word) * kFirst, 31);
  b_ = std::rotl(b_ + word * kSecond, 27) * kFirst + a_;
}

void Hasher::add(std::span<const std::byte> bytes) {
  length_ += bytes.size();
  size_t at = 0;
  const auto take_byte = [&] {
    pending_ |= std::to_integer<uint64_t>(bytes[at++]) << 8 * pending_bytes_;
    if (++pending_bytes_ < 8) return;
    mix(pending_);
    pending_ = 0;
    pending_bytes_ = 0;
  };
  while (at < bytes.size() && pending_bytes_ > 0) take_byte();
  for (; at + 8 <= bytes.size(); at += 8) mix(little_endian(bytes.data() + at));
  while (at < bytes.size()) take_byte();
}

void Hasher::add_text(std::string_view text) {
  add_number(static_cast<int64_t>(text.size()));
  add(std::as_bytes(std::span(text)));
}

void Hasher::add_number(int64_t value) {
  std::byte bytes[8];
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>(static_cast<uint64_t>(value) >> 8 * i);
  add(bytes);
}

Hash128 Hasher::finish() const {
  Hasher end = *this;
  end.mix(pending_);
  end.mix(length_);
  return {avalanche(end.a_ ^ std::rotl(end.b_, 17)), avalanche(end.b_)};
}

}  // namespace datasets
