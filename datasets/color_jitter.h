// torchvision's ColorJitter, for pictures with class numbers and with boxes alike.
#pragma once

#include "vit/core/rng.h"
#include "vit/image/image.h"

namespace datasets {

/// Brightness, contrast, saturation (factors from max(0, 1 - strength) to 1 + strength) and hue (by up to `hue` of the
/// circle), each once, in random order; what is 0 is left out. In place: the picture's buffer must not be shared.
void jitter_color(vit::Image& image, double strength, double hue, vit::Rng& rng);

}  // namespace datasets
