#include "vit/image/header.h"

#include <array>
#include <cctype>
#include <cstdlib>
#include <string_view>

#include "vit/core/check.h"
#include "vit/image/byte_reader.h"
#include "vit/image/decode.h"
#include "vit/image/pnm.h"

namespace vit {

namespace {

using Bytes = std::span<const std::byte>;
using std::string_view_literals::operator""sv;

struct Signature {
  ImageFormat format;
  size_t offset;
  std::string_view text;
};

/// The one list of what the formats begin with.
constexpr std::array kSignatures = {
    Signature{ImageFormat::kJpeg, 0, "\xFF\xD8\xFF"sv},
    Signature{ImageFormat::kPng, 0, "\x89PNG\r\n\x1A\n"sv},
    Signature{ImageFormat::kBmp, 0, "BM"sv},
    Signature{ImageFormat::kWebp, 8, "WEBP"sv},
    Signature{ImageFormat::kTiff, 0, "II*\0"sv},
    Signature{ImageFormat::kTiff, 0, "MM\0*"sv},
    Signature{ImageFormat::kTiff, 0, "II+\0"sv},
    Signature{ImageFormat::kTiff, 0, "MM\0+"sv},
    Signature{ImageFormat::kJpeg2000, 0, "\0\0\0\x0CjP  \r\n\x87\n"sv},
    Signature{ImageFormat::kJpeg2000, 0, "\xFF\x4F\xFF\x51"sv},
    Signature{ImageFormat::kSunRaster, 0, "\x59\xA6\x6A\x95"sv},
};

void read_bmp(Bytes bytes, ImageHeader& header, bool& complete) {
  ByteReader in(bytes, false);
  // OS/2's BITMAPCOREHEADER has 16-bit extents; all later headers begin alike. A negative height means top-down rows.
  if (in.u32(14) == 12) {
    header.width = in.u16(18);
    header.height = in.u16(20);
  } else {
    header.width = static_cast<int32_t>(in.u32(18));
    header.height = std::abs(static_cast<int64_t>(static_cast<int32_t>(in.u32(22))));
  }
  complete = in.ok();
}

void read_webp(Bytes bytes, ImageHeader& header, bool& complete) {
  ByteReader in(bytes, false);
  if (in.matches(12, "VP8X")) {
    header.width = static_cast<int64_t>(in.integer(24, 3)) + 1;
    header.height = static_cast<int64_t>(in.integer(27, 3)) + 1;
    for (size_t at = 12; in.has(at, 8); at += 8 + in.u32(at + 4) + in.u32(at + 4) % 2) {
      if (!in.matches(at, "EXIF")) continue;
      Bytes exif = in.part(at + 8, in.u32(at + 4));
      if (ByteReader(exif).matches(0, "Exif\0\0"sv)) exif = exif.subspan(6);
      header.orientation = exif_orientation(exif);
    }
  } else if (in.matches(12, "VP8L")) {
    const uint32_t bits = in.u32(21);  // 14 bits of width - 1, then 14 of height - 1
    header.width = (bits & 0x3FFF) + 1;
    header.height = (bits >> 14 & 0x3FFF) + 1;
  } else {
    header.width = in.u16(26) & 0x3FFF;  // the two upper bits ask for scaling by the viewer
    header.height = in.u16(28) & 0x3FFF;
  }
  complete = in.ok();
}

/// Walks the first directory of a TIFF structure: `visit(tag, value, where)` for each entry of integers, with the first
/// of them and its offset.
/// Classic TIFF has 32-bit offsets, BigTIFF (version 43) 64-bit ones.
template <class Visit>
bool visit_tiff_directory(Bytes bytes, const Visit& visit) {
  if (bytes.size() < 8) return false;
  const bool big_endian = bytes[0] == std::byte{'M'};
  ByteReader in(bytes, big_endian);
  const bool big = in.u16(2) == 43;
  const size_t entry_size = big ? 20 : 12, count_size = big ? 8 : 2, offset_size = big ? 8 : 4;
  const uint64_t directory = in.integer(big ? 8 : 4, offset_size);
  const uint64_t entries = in.integer(directory, count_size);
  if (!in.ok()) return false;
  for (uint64_t i = 0; i < entries; ++i) {
    // Offsets are checked before use, so that a lying count ends the walk at the end of the file.
    const size_t at = static_cast<size_t>(directory) + count_size + static_cast<size_t>(i) * entry_size;
    if (!in.has(at, entry_size)) return false;
    const uint16_t type = in.u16(at + 2);
    const size_t value_at = at + 4 + offset_size;
    if (type == 3) visit(in.u16(at), static_cast<int64_t>(in.u16(value_at)), value_at);
    if (type == 4) visit(in.u16(at), static_cast<int64_t>(in.u32(value_at)), value_at);
    if (type == 16) visit(in.u16(at), static_cast<int64_t>(in.integer(value_at, 8)), value_at);
  }
  return in.ok();
}

constexpr int kTiffWidth = 256, kTiffHeight = 257, kTiffOrientation = 274, kTiffExtraSamples = 338;
constexpr int64_t kStraightAlpha = 2;

void read_tiff(Bytes bytes, ImageHeader& header, bool& complete) {
  complete = visit_tiff_directory(bytes, [&](int tag, int64_t value, size_t where) {
    if (tag == kTiffExtraSamples && value == kStraightAlpha) header.straight_alpha_at = where;
    if (tag == kTiffWidth) header.width = value;
    if (tag == kTiffHeight) header.height = value;
    if (tag == kTiffOrientation && value >= 1 && value <= 8) header.orientation = static_cast<int>(value);
  });
}

void read_pnm(Bytes bytes, ImageHeader& header, bool& complete) {
  size_t at = 2;
  header.width = detail::read_pnm_number(bytes, at);
  header.height = detail::read_pnm_number(bytes, at);
  complete = header.width >= 0 && header.height >= 0;
}

void read_jpeg2000(Bytes bytes, ImageHeader& header, bool& complete) {
  ByteReader in(bytes);
  if (in.matches(0, "\xFF\x4F\xFF\x51"sv)) {
    // Codestream: SIZ has Rsiz, Xsiz, Ysiz, XOsiz, YOsiz; the picture lies between offset and size.
    header.width = static_cast<int64_t>(in.u32(8)) - in.u32(16);
    header.height = static_cast<int64_t>(in.u32(12)) - in.u32(20);
    complete = in.ok();
    return;
  }
  // The file format's `ihdr` box is the first one in `jp2h`; both lie near the beginning.
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const size_t box = text.substr(0, 4096).find("ihdr");
  complete = box != text.npos && in.has(box, 12);
  if (!complete) return;
  header.height = in.u32(box + 4);
  header.width = in.u32(box + 8);
}

void read_sun_raster(Bytes bytes, ImageHeader& header, bool& complete) {
  ByteReader in(bytes);
  header.width = in.u32(4);
  header.height = in.u32(8);
  complete = in.ok();
}

}  // namespace

const char* name_of(ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg:
      return "JPEG";
    case ImageFormat::kPng:
      return "PNG";
    case ImageFormat::kBmp:
      return "BMP";
    case ImageFormat::kWebp:
      return "WebP";
    case ImageFormat::kTiff:
      return "TIFF";
    case ImageFormat::kPnm:
      return "PNM";
    case ImageFormat::kJpeg2000:
      return "JPEG 2000";
    case ImageFormat::kSunRaster:
      return "Sun raster";
    case ImageFormat::kUnknown:
      break;
  }
  return "unknown";
}

ImageFormat sniff_format(Bytes bytes) {
  const ByteReader in(bytes);
  for (const Signature& signature : kSignatures)
    if (in.matches(signature.offset, signature.text)) return signature.format;
  // PNM: "P1" to "P6", then white space or a comment.
  if (bytes.size() >= 3 && bytes[0] == std::byte{'P'}) {
    const char kind = static_cast<char>(bytes[1]), next = static_cast<char>(bytes[2]);
    if (kind >= '1' && kind <= '6' && (std::isspace(static_cast<unsigned char>(next)) || next == '#'))
      return ImageFormat::kPnm;
  }
  return ImageFormat::kUnknown;
}

ImageHeader read_image_header(Bytes bytes, const std::string& name) {
  check(!bytes.empty(), name, ": empty file");
  ImageHeader header;
  header.format = sniff_format(bytes);
  bool complete = true;
  switch (header.format) {
    case ImageFormat::kJpeg:
      detail::read_jpeg_header(bytes, name, header);
      break;
    case ImageFormat::kPng:
      detail::read_png_header(bytes, name, header);
      break;
    case ImageFormat::kBmp:
      read_bmp(bytes, header, complete);
      break;
    case ImageFormat::kWebp:
      read_webp(bytes, header, complete);
      break;
    case ImageFormat::kTiff:
      read_tiff(bytes, header, complete);
      break;
    case ImageFormat::kPnm:
      read_pnm(bytes, header, complete);
      break;
    case ImageFormat::kJpeg2000:
      read_jpeg2000(bytes, header, complete);
      break;
    case ImageFormat::kSunRaster:
      read_sun_raster(bytes, header, complete);
      break;
    case ImageFormat::kUnknown:
      fail(name, ": not an image format that is known (", known_image_formats(), ")");
  }
  check(complete, name, ": truncated ", name_of(header.format), ": the header is not complete");
  check(header.width > 0 && header.height > 0, name, ": damaged ", name_of(header.format), ": the header says ",
        header.width, " x ", header.height, " pixels");
  return header;
}

void check_complete(Bytes bytes, const ImageHeader& header, const std::string& name) {
  if (header.format == ImageFormat::kPng) detail::check_png_chunks(bytes, name);
  if (header.format == ImageFormat::kWebp) {
    const uint64_t expected = uint64_t{ByteReader(bytes, false).u32(4)} + 8;
    check(bytes.size() >= expected, name, ": truncated WebP: ", bytes.size(), " of ", expected, " bytes");
  }
}

int exif_orientation(Bytes tiff) {
  int orientation = 1;
  visit_tiff_directory(tiff, [&](int tag, int64_t value, size_t) {
    if (tag == kTiffOrientation && value >= 1 && value <= 8) orientation = static_cast<int>(value);
  });
  return orientation;
}

}  // namespace vit
