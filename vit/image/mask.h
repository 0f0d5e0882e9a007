// Coverage masks: how much of each pixel a shape covers, exactly (the area of the shape inside the pixel), which is
// what makes edges smooth. Own code, a page long, and not OpenCV's: its filled shapes grow by half a pixel when they
// are smooth, and generated training data must not load OpenCV's 140 libraries.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/image/path.h"

namespace vit {

/// Half-open rectangle of pixels.
struct PixelRect {
  int64_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  int64_t width() const { return x1 - x0; }
  int64_t height() const { return y1 - y0; }
  bool empty() const { return x1 <= x0 || y1 <= y0; }
};
PixelRect intersection(const PixelRect& a, const PixelRect& b);

struct Mask {
  PixelRect rect;               ///< where it lies in the picture
  std::vector<uint8_t> values;  ///< [rect.height, rect.width], 255: the pixel is covered wholly

  const uint8_t* row(int64_t y) const { return values.data() + (y - rect.y0) * rect.width(); }
  uint8_t* row(int64_t y) { return values.data() + (y - rect.y0) * rect.width(); }
  /// 0 outside.
  uint8_t at(int64_t x, int64_t y) const;
};

/// The part of the filled rings that lies in `clip`; the mask is no larger than the rings need. An empty mask where
/// nothing lies inside. Where rings of one direction overlap, their coverages at a shared edge add up.
/// Errors: coordinates that are not finite or beyond a million.
Mask rasterize(const Rings& rings, const PixelRect& clip);

/// The bounding box of the rings, outwards to whole pixels. Errors: as above.
PixelRect pixel_bounds(const Rings& rings);

}  // namespace vit
