// Decodes picture files to 8-bit RGB with the values that Pillow's `Image.open(f).convert("RGB")` gives: grey is
// replicated, alpha dropped (not blended), palettes expanded, CMYK converted as Pillow does, 16 bits scaled to 8.
// Sizes are read from the header before anything is allocated. JPEG goes through libjpeg-turbo, PNM is read here, the
// other formats go through OpenCV, which sits in a module of its own (vitkit_codecs) that is loaded when the first such
// picture comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "vit/image/image.h"

namespace vit {

struct DecodeOptions {
  /// Rotate and mirror as the EXIF orientation says. Pillow, timm and transformers do not: parity checks switch it off.
  /// TIFF's own orientation is part of that format: it is always applied, as Pillow does.
  bool honour_orientation = true;
  /// Pictures with more pixels (height x width) are refused from their header.
  int64_t max_pixels = 100'000'000;
};

/// Decodes a picture in memory -> [height, width, 3]. `name` is what error messages call it.
/// Errors: empty; of no known format; too many pixels; truncated; damaged. Thread-safe.
Image decode_image(std::span<const std::byte> bytes, const std::string& name, const DecodeOptions& options = {});

/// Decodes a file; the same errors, and: missing, a folder, unreadable. The name in messages is the path. Thread-safe.
Image load_image(const std::string& path, const DecodeOptions& options = {});

/// Starts loading the codec module on the calling thread (0.1 s): for programs that want to hide the time behind other
/// work and know that a format other than JPEG or PNM comes. Errors: none; a missing module is reported by the first
/// decode.
void preload_codecs() noexcept;

/// "JPEG, PNG, BMP, ...": the formats that decode_image reads, for help texts and messages.
std::string known_image_formats();

}  // namespace vit
