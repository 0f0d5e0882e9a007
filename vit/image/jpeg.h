// JPEG through libjpeg-turbo, set up as Pillow sets it up, so that the pixels are the same bytes. OpenCV also ends in
// libjpeg-turbo, but it converts CMYK by another formula, returns wrong rows for cut files, and costs 0.1 s and
// 60 MB when it is loaded, which a program that classifies photos need not pay.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "vit/image/image.h"

namespace vit::detail {

/// bytes -> [height, width, 3]; extents are not limited here. Errors: truncated; damaged; 2 or more than 4 components.
Image decode_jpeg(std::span<const std::byte> bytes, const std::string& name);

}  // namespace vit::detail
