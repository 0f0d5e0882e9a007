// Geometry of pictures with boxes: cutting, scaling, placing and mirroring move the boxes with the pixels.
#pragma once

#include <cstdint>
#include <vector>

#include "datasets/augment_affine.h"
#include "datasets/box_dataset.h"
#include "vit/image/image.h"
#include "vit/image/resize.h"
#include "vit/train/batch.h"

namespace datasets {

/// A picture with its boxes, in its pixels.
struct BoxSample {
  vit::Image image;
  std::vector<BoxAnnotation> boxes{};
};

/// Which of a picture goes where: `from` in its pixels, which may reach outside of it, fills `to` in another picture's.
struct Placement {
  vit::Window from, to;
};

/// What happens to a box that is cut: it is kept, cut to what can be seen, if at least `min_visible` of its area can,
/// and a pixel of each side (or the whole side, where it is shorter). Otherwise it is dropped: what is left of the
/// object could not be told.
struct CutRule {
  double min_visible = 0.25;
};

/// Draws the part of `sample` onto `canvas`, scaled as the placement says, and adds its boxes there to `boxes`. What
/// lies outside of the sample's picture leaves the canvas as it is. Errors: `to` is empty or reaches outside of the
/// canvas, `from` is empty.
void place(const BoxSample& sample, const Placement& placement, const CutRule& rule, vit::Image& canvas,
           std::vector<BoxAnnotation>& boxes);

/// The window of a picture as a picture of its own, `fill` where it reaches outside. One that is larger than the
/// picture is scaled down to as many pixels as the picture has.
BoxSample window_of(const BoxSample& sample, const vit::Window& window, const CutRule& rule, const Colour& fill);

/// The boxes that `rule` keeps of a window, without drawing it: cut to it, in the same pixels as before.
std::vector<BoxAnnotation> boxes_within(const std::vector<BoxAnnotation>& boxes, const vit::Window& window,
                                        const CutRule& rule);

/// In place: the picture's buffer must not be shared.
void flip_horizontal(BoxSample& sample);
void flip_vertical(BoxSample& sample);

/// A picture of one colour.
vit::Image filled_image(int64_t height, int64_t width, const Colour& fill);

/// The boxes of a picture of `height` x `width` as a detector learns them: without crowds and difficult ones, as shares
/// of the picture.
vit::BoxTargets targets_of(const std::vector<BoxAnnotation>& boxes, int64_t height, int64_t width);

}  // namespace datasets
