// Cutting and mirroring of 8-bit pictures, and where random crops lie.
#pragma once

#include <array>
#include <cstdint>

#include "vit/core/rng.h"
#include "vit/image/image.h"
#include "vit/image/preprocess.h"
#include "vit/image/resize.h"

namespace datasets {

/// Where a random resized crop lies: timm's RandomResizedCropAndInterpolation.get_params (Szegedy et al., "Going deeper
/// with convolutions", 2014, section 6). Ten tries for an area share in `scale` and a width / height in `ratio`
/// (log-uniform); then the largest centre crop whose ratio is allowed.
vit::Window random_resized_crop(const vit::Extent& source, const std::array<double, 2>& scale,
                                const std::array<double, 2>& ratio, vit::Rng& rng);

/// Extents that a picture is resized to by timm's ResizeKeepRatio with random_scale_prob = random_aspect_prob = 0.5 and
/// random_scale_area: it covers `target`, give or take.
vit::Extent random_keep_ratio(const vit::Extent& source, const vit::Extent& target, const std::array<double, 2>& scale,
                              const std::array<double, 2>& ratio, vit::Rng& rng);

/// A copy of the window. Errors: it reaches outside.
vit::Image crop(const vit::Image& image, const vit::Window& window);
/// A copy of a window that may reach outside, which is black there.
vit::Image crop_padded(const vit::Image& image, const vit::Window& window);
/// A copy of a window that may reach outside, where the picture is mirrored at its edge pixels (numpy.pad "reflect").
vit::Image crop_reflected(const vit::Image& image, const vit::Window& window);

/// In place: the picture's buffer must not be shared.
void flip_horizontal(vit::Image& image);
void flip_vertical(vit::Image& image);

}  // namespace datasets
