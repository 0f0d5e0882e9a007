// Headers of picture files: format, extents and orientation, read before a decoder sees the file and before anything is
// allocated, and the checks for completeness that the decoders lack.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace vit {

enum class ImageFormat { kUnknown, kJpeg, kPng, kBmp, kWebp, kTiff, kPnm, kJpeg2000, kSunRaster };

/// "JPEG", "PNG", ...
const char* name_of(ImageFormat format);

struct ImageHeader {
  ImageFormat format = ImageFormat::kUnknown;
  int64_t height = 0, width = 0;  ///< as stored, before any rotation
  int orientation = 1;            ///< EXIF's 1 to 8; 1 where the file says nothing sensible
  size_t straight_alpha_at = 0;   ///< TIFF with alpha that is not multiplied in: where the tag's value stands; else 0
};

/// The format by the first bytes (never by the file's name).
ImageFormat sniff_format(std::span<const std::byte> bytes);

/// Errors: empty; of no known format; the header is cut off or says nonsense (an extent of 0). `name` is for messages.
ImageHeader read_image_header(std::span<const std::byte> bytes, const std::string& name);

/// Errors: the container says that more bytes belong to it than there are, or a PNG chunk has a wrong checksum. OpenCV
/// returns grey or undefined pixels for some of these files, and libpng prints to stderr.
void check_complete(std::span<const std::byte> bytes, const ImageHeader& header, const std::string& name);

/// Orientation 1 to 8 out of an EXIF block (a TIFF header); 1 when it has none or is damaged. Never throws.
int exif_orientation(std::span<const std::byte> tiff);

namespace detail {
/// Fills extents and orientation from JPEG segments / PNG chunks. Errors as read_image_header.
void read_jpeg_header(std::span<const std::byte> bytes, const std::string& name, ImageHeader& header);
void read_png_header(std::span<const std::byte> bytes, const std::string& name, ImageHeader& header);
/// Errors: a chunk is cut off, has a wrong checksum, or IEND is missing.
void check_png_chunks(std::span<const std::byte> bytes, const std::string& name);
}  // namespace detail

}  // namespace vit
