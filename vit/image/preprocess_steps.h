// The arithmetic of the steps: which extents a picture gets, and where a crop lies.
#pragma once

#include <optional>
#include <string>

#include "vit/image/preprocess.h"

namespace vit::detail {

/// Extents after a step. For a CenterCrop: its own. Errors: an extent becomes 0.
Extent extent_after(const ImageStep& step, const Extent& source);

/// The filter of a resizing step; none for a crop.
std::optional<Filter> filter_of(const ImageStep& step);

/// Top left corner of the crop in the picture; negative where the picture is smaller and padding goes first.
struct Corner {
  int64_t top = 0, left = 0;
};
Corner crop_corner(const CenterCrop& crop, const Extent& source);

/// The crop, padded with crop.fill where the picture does not reach.
Image crop_or_pad(const Image& image, const CenterCrop& crop);

/// "resize to 224 x 224 (bilinear)", ...
std::string describe(const ImageStep& step);

}  // namespace vit::detail
