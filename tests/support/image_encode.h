// Writes small picture files of every kind that decoding has to deal with. Encoders as plain as
// the formats allow: stored blocks in PNG, no compression elsewhere; JPEG through libjpeg.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vit/image/image.h"

namespace vit::test {

inline std::span<const std::byte> as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

/// Big- and little-endian integers of `count` bytes.
std::string be(uint64_t value, int count);
std::string le(uint64_t value, int count);

/// A picture with a different colour at every pixel of small extents.
Image pattern(int64_t height, int64_t width);
/// [rows][columns] of RGB triples, as a picture.
Image picture(int64_t height, int64_t width, const std::vector<uint8_t>& rgb);
std::vector<uint8_t> pixels_of(const Image& image);

/// Components 1 (grey: the red channel), 3 or 4 (CMYK as stored, inverted as Adobe does: 255 - red, ..., black 0).
struct JpegOptions {
  int components = 3;
  int quality = 90;
  bool progressive = false;
  int orientation = 0;  ///< 0: no EXIF block
  bool damaged_exif = false;
};
std::string encode_jpeg(const Image& image, const JpegOptions& options = {});

/// An EXIF block (TIFF header) with an orientation.
std::string exif_block(int orientation, bool big_endian);

/// PNG of raw rows (without filter bytes). `colour_type`: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA.
struct PngOptions {
  int depth = 8;
  int colour_type = 2;
  std::string before_data = {};  ///< whole chunks to stand before IDAT
};
std::string encode_png(int64_t height, int64_t width, const std::string& raw, const PngOptions& options = {});
std::string png_chunk(const std::string& type, const std::string& data);

/// Uncompressed TIFF, one strip.
struct TiffOptions {
  int samples = 3;  ///< 1 grey, 3 RGB, 4 RGBA with alpha that is not multiplied in
  int bits = 8;
  int orientation = 1;
};
std::string encode_tiff(int64_t height, int64_t width, const std::string& raw, const TiffOptions& options = {});

std::string encode_bmp(const Image& image);
std::string encode_ppm(const Image& image);
/// Sun raster, type 1, 24 bits.
std::string encode_sun_raster(const Image& image);
std::string raw_rgb(const Image& image);

/// A 2 x 3 picture in formats whose encoders are large: red, green, blue / (10, 20, 30), (200, 100, 50), white.
std::string tiny_webp();
std::string tiny_webp_rotated();  ///< the same with EXIF orientation 6
std::string tiny_jpeg2000();
std::string tiny_jpeg2000_codestream();
std::vector<uint8_t> tiny_pixels();

}  // namespace vit::test
