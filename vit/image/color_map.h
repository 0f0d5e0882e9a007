// Colour maps: a number as a colour.
#pragma once

#include "vit/image/canvas.h"

namespace vit {

/// Viridis (van der Walt and Smith 2015, matplotlib's default): dark violet for 0 over green to yellow for 1. Equal
/// steps look equal, in grey and to the colour-blind as well. What lies outside 0 to 1 has the nearest end's colour,
/// what is no number is grey.
Color viridis(double share);

}  // namespace vit
