// The two formats whose headers are a walk over segments: JPEG (ITU-T T.81, annex B) and PNG (ISO/IEC 15948).
#include <array>
#include <string_view>

#include "vit/core/check.h"
#include "vit/image/byte_reader.h"
#include "vit/image/header.h"

namespace vit::detail {

namespace {

using std::string_view_literals::operator""sv;

/// SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC), which lie in the same range.
bool is_start_of_frame(uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

/// Markers that stand alone: TEM, RST0 to RST7, SOI.
bool has_no_length(uint8_t marker) { return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8); }

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) ? 0xEDB88320u ^ value >> 1 : value >> 1;
    table[i] = value;
  }
  return table;
}

/// The checksum of PNG's annex D.
uint32_t crc32(std::span<const std::byte> bytes) {
  static constexpr std::array<uint32_t, 256> kTable = make_crc_table();
  uint32_t crc = 0xFFFFFFFFu;
  for (const std::byte byte : bytes) crc = kTable[(crc ^ std::to_integer<uint32_t>(byte)) & 0xFF] ^ crc >> 8;
  return ~crc;
}

}  // namespace

void read_jpeg_header(std::span<const std::byte> bytes, const std::string& name, ImageHeader& header) {
  ByteReader in(bytes);
  bool have_exif = false;
  for (size_t at = 2; in.has(at, 2);) {
    if (in.u8(at) != 0xFF) {
      ++at;  // stray bytes between segments: libjpeg skips them with a warning
      continue;
    }
    const uint8_t marker = in.u8(at + 1);
    if (marker == 0xFF) {
      ++at;  // fill byte
      continue;
    }
    at += 2;
    if (marker == 0 || has_no_length(marker)) continue;
    check(marker != 0xD9 && marker != 0xDA, name, ": damaged JPEG: no frame header before the picture's data");
    const size_t length = in.u16(at);
    if (!in.ok()) break;
    check(length >= 2, name, ": damaged JPEG: a segment of length ", length);
    // The first EXIF block counts, as in Pillow.
    if (marker == 0xE1 && !have_exif && in.matches(at + 2, "Exif\0\0"sv) && length > 8) {
      header.orientation = exif_orientation(in.part(at + 8, length - 8));
      have_exif = true;
    }
    if (is_start_of_frame(marker)) {
      header.height = in.u16(at + 3);
      header.width = in.u16(at + 5);
      if (!in.ok()) break;
      return;
    }
    at += length;
  }
  fail(name, ": truncated JPEG: the file ends before the frame header");
}

void read_png_header(std::span<const std::byte> bytes, const std::string& name, ImageHeader& header) {
  ByteReader in(bytes);
  header.width = in.u32(16);
  header.height = in.u32(20);
  check(in.ok(), name, ": truncated PNG: the header is not complete");
  check(in.matches(12, "IHDR"), name, ": damaged PNG: the first chunk is not IHDR");
  for (size_t at = 8; in.has(at, 8); at += size_t{12} + in.u32(at))
    if (in.matches(at + 4, "eXIf")) header.orientation = exif_orientation(in.part(at + 8, in.u32(at)));
}

void check_png_chunks(std::span<const std::byte> bytes, const std::string& name) {
  ByteReader in(bytes);
  for (size_t at = 8;;) {
    const size_t length = in.u32(at);
    check(in.ok() && in.has(at, 12) && in.has(at + 12, length), name, ": truncated PNG: ", bytes.size(),
          " bytes, a chunk at ", at, " goes on");
    // Upper case begins a chunk that the picture needs; a damaged comment does not make it unreadable.
    const bool critical = (in.u8(at + 4) & 0x20) == 0;
    if (critical && crc32(in.part(at + 4, length + 4)) != in.u32(at + 8 + length))
      fail(name, ": damaged PNG: wrong checksum of the chunk at byte ", at);
    if (in.matches(at + 4, "IEND")) return;
    at += length + 12;
  }
}

}  // namespace vit::detail
