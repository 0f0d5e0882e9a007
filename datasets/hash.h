// 128-bit hashes of bytes, to tell contents apart: duplicates among pictures, data sets that changed. Not
// cryptographic: who wants two contents of one hash can make them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace datasets {

struct Hash128 {
  uint64_t high = 0, low = 0;
  auto operator<=>(const Hash128&) const = default;
  /// 32 hexadecimal digits.
  std::string text() const;
};

/// Takes bytes piece by piece; how they are cut does not count. The same on every machine.
class Hasher {
 public:
  void add(std::span<const std::byte> bytes);
  /// A text and its length, so that "ab", "c" differs from "a", "bc".
  void add_text(std::string_view text);
  void add_number(int64_t value);
  Hash128 finish() const;

 private:
  void mix(uint64_t word);

  uint64_t a_ = 0x9E3779B97F4A7C15ull, b_ = 0xC2B2AE3D27D4EB4Full;
  uint64_t pending_ = 0;  // bytes of a word that is not complete, the first lowest
  size_t pending_bytes_ = 0;
  uint64_t length_ = 0;
};

}  // namespace datasets

template <>
struct std::hash<datasets::Hash128> {
  size_t operator()(const datasets::Hash128& value) const noexcept { return static_cast<size_t>(value.low); }
};
