// Reads integers of either byte order out of bytes that somebody else wrote, without ever reading past the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace vit {

/// All reads are bounds-checked: what lies outside reads as 0 and clears ok().
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes, bool big_endian = true)
      : bytes_(bytes), big_endian_(big_endian) {}

  size_t size() const { return bytes_.size(); }
  bool has(size_t offset, size_t count) const { return offset <= size() && count <= size() - offset; }
  bool ok() const { return ok_; }

  /// An unsigned integer of 1 to 8 bytes.
  uint64_t integer(size_t offset, size_t count) {
    if (!has(offset, count)) {
      ok_ = false;
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < count; ++i)
      value |= std::to_integer<uint64_t>(bytes_[offset + i]) << 8 * (big_endian_ ? count - 1 - i : i);
    return value;
  }
  uint8_t u8(size_t offset) { return static_cast<uint8_t>(integer(offset, 1)); }
  uint16_t u16(size_t offset) { return static_cast<uint16_t>(integer(offset, 2)); }
  uint32_t u32(size_t offset) { return static_cast<uint32_t>(integer(offset, 4)); }

  /// Whether `text` stands at the offset.
  bool matches(size_t offset, std::string_view text) const {
    return has(offset, text.size()) && std::memcmp(bytes_.data() + offset, text.data(), text.size()) == 0;
  }
  /// The bytes from an offset on, at most `count`.
  std::span<const std::byte> part(size_t offset, size_t count = SIZE_MAX) const {
    if (offset > size()) return {};
    return bytes_.subspan(offset, count < size() - offset ? count : size() - offset);
  }

 private:
  std::span<const std::byte> bytes_;
  bool big_endian_;
  bool ok_ = true;
};

}  // namespace vit
