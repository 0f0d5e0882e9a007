// Colour maps: a number as a colour.
#pragma once

#include "vit/image/canvas.h"

namespace vit {

/// Viridis (van der Walt and Smith 2015, matplotlib's default): dark violet for 0 over green to yellow for 1. Equal
/// steps look equal, in grey and to the colour-blind as well. What lies outside 0 to 1 has the nearest end's colour,
/// what is no number is grey.
Color viridis(double share);

/// Signed numbers: blue for -1 over light grey for 0 to red for 1. Two straight lines in CIELAB (D65), from lightness
/// 38 and chroma 54 at hue 285 and at hue 32 degrees to lightness 92 without chroma: every step of the same size is the
/// same distance in colour, both sides are equally dark where they are equally far from zero, and the middle is
/// neutral (Moreland 2009, "Diverging color maps for scientific visualization", asks for these). What lies outside has
/// the nearest end's colour, what is no number is a darker grey.
Color diverging(double value);

}  // namespace vit
