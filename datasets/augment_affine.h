// Pillow's Image.transform(size, AFFINE) and Image.rotate on 8-bit RGB, to the byte.
// Source of the definition: Pillow 9.4, Image.py and src/libImaging/Geometry.c.
#pragma once

#include <array>
#include <cstdint>

#include "vit/image/image.h"
#include "vit/image/resize.h"

namespace datasets {

using Colour = std::array<uint8_t, 3>;

/// The pixel at the centre (x, y) of the result is the source at (a x + b y + c, d x + e y + f), matrix {a .. f}; where
/// that lies outside it is `fill`. The extents stay. Errors: a filter other than bilinear and bicubic.
vit::Image affine(const vit::Image& image, const std::array<double, 6>& matrix, vit::Filter filter, const Colour& fill);

/// Turns counter-clockwise around the centre; the extents stay, corners are cut off.
vit::Image rotated(const vit::Image& image, double degrees, vit::Filter filter, const Colour& fill);

}  // namespace datasets
