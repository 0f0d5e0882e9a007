// Resizing with the bytes of Pillow's Image.resize: 8-bit separable filters whose support grows with the down-scaling
// factor (antialiasing), fixed-point weights, a horizontal and then a vertical pass that are each rounded to 8 bits.
// OpenCV's resize is another function. Source of the definition: Pillow 9.4, src/libImaging/Resample.c and Geometry.c.
#pragma once

#include <optional>
#include <string>

#include "vit/image/image.h"

namespace vit {

/// Values are Pillow's `Image.Resampling` numbers, which Hugging Face's `resample` key stores.
enum class Filter { kNearest = 0, kLanczos = 1, kBilinear = 2, kBicubic = 3, kBox = 4, kHamming = 5 };

/// "nearest", "lanczos", "bilinear", "bicubic", "box", "hamming".
const char* name_of(Filter filter);
/// Errors (usage): unknown name, with the nearest and all known ones.
Filter filter_from_name(const std::string& name);

/// Pixels [left, left + width) x [top, top + height).
struct Window {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

/// A region of the source in fractional pixels, as Pillow's `box` argument.
struct SourceBox {
  float left = 0, top = 0, right = 0, bottom = 0;
};

struct ResizeOptions {
  /// Extents of the whole result.
  int64_t height = 0, width = 0;
  Filter filter = Filter::kBilinear;
  /// Region of the source that is scaled to the result; the whole source when absent.
  std::optional<SourceBox> box = std::nullopt;
  /// Part of the result that is wanted; the rest is not computed. The whole result when absent. The bytes are those of
  /// resizing and cropping, at a fraction of the time: a centre crop asks for its window here.
  std::optional<Window> window = std::nullopt;
};

/// source [height, width, 3] -> [options.height, options.width, 3], or the window of that. An axis that keeps its
/// extent is not filtered. Errors: an extent outside 1 to 2^30, more than 2^28 pixels, a box outside the source, a
/// window outside the result. Thread-safe; runs on the calling thread.
Image resize(const Image& source, const ResizeOptions& options);

}  // namespace vit
