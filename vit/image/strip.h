// Strips: the frames of a clip as one picture, beneath one another, the first on top (docs/video_attention.md).
#pragma once

#include <cstdint>
#include <vector>

#include "vit/image/image.h"
#include "vit/image/pixel_batch.h"
#include "vit/image/resize.h"

namespace vit {

/// Frames [H, W, 3] -> a strip [T * H, W, 3]. Errors: no frame, frames of different sizes.
Image make_strip(const std::vector<Image>& frames);

/// Frame `number` of a strip of `frames`, in memory of the strip. Errors: no such frame, rows that are no multiple.
Image strip_frame(const Image& strip, int64_t frames, int64_t number);

/// Every frame scaled to cover `size`, its middle cut out: a film's frame as a clip model takes it.
Image fit_frame(const Image& frame, const Extent& size, Filter filter = Filter::kBilinear);

/// Every frame of the strip brought to `size` by itself; the strip itself where they have it. Errors (usage): the
/// picture is no strip of so many frames of that shape, which tells a photo from a clip.
Image fit_strip(const Image& strip, int64_t frames, const Extent& size, Filter filter = Filter::kBilinear);

}  // namespace vit
