// Maps of numbers as grey PNG files (W3C, "Portable Network Graphics", third edition): what other programs read as
// values, in 8 or 16 bits.
#pragma once

#include <filesystem>
#include <string>

#include "vit/core/tensor.h"

namespace vit {

struct GreyRange {
  double min = 0.0, max = 1.0;  ///< black and white; what lies outside has the nearest end's grey
};

/// values f32 [height, width] -> a PNG file's bytes, grey without alpha, 8 or 16 bits; what is no number is black.
/// The range stands in the file as text ("Comment": "0 is black, 0.25 is white"). Errors: not f32 [height, width],
/// other bits, ends that are not in order.
std::string encode_grey_png(const Tensor& values, const GreyRange& range, int bits = 16);

/// The same into a file, whole or not at all. Errors: as encode_grey_png and AtomicFile, naming the path.
void save_grey_png(const std::filesystem::path& path, const Tensor& values, const GreyRange& range, int bits = 16);

}  // namespace vit
