// Gaussian blur of 8-bit samples in whole numbers: the same bytes on every machine.
#pragma once

#include <cstdint>

#include "vit/image/image.h"
#include "vit/image/mask.h"

namespace vit {

/// `sigma` in pixels; 0 changes nothing. The border's pixels are repeated outwards. Errors: sigma negative or above 40.
void blur(Image& image, float sigma);

/// The same for a mask, which grows as far as the blur reaches; outside it nothing is covered.
Mask blurred(const Mask& mask, float sigma);

}  // namespace vit
