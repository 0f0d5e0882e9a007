// Turns stored pixels into upright ones, as EXIF's orientation tag asks.
#pragma once

#include "vit/image/image.h"

namespace vit {

/// image [height, width, 3] -> the same upright; orientations 5 to 8 swap the extents. Orientation 1 shares the buffer.
/// As Pillow's ImageOps.exif_transpose. Errors: not 1 to 8.
Image apply_orientation(const Image& image, int orientation);

}  // namespace vit
