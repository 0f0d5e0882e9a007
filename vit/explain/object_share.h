// A map against the box of the object that the picture is about: where the truth is known.
#pragma once

#include "vit/core/tensor.h"
#include "vit/image/boxes.h"

namespace vit {

/// What a map over height x width pixels says about a box in them. 0 to 1 each.
struct ObjectShare {
  double mass = 0.0;      ///< share of the map's mass that lies in the box
  double pointing = 0.0;  ///< pointing game (Zhang et al. 2016, arXiv 1608.00507): whether the maximum lies in it
  double area = 0.0;      ///< share of the pixels that the box covers: what a constant map has of both
};

/// map f32 [rows, columns]. The mass of a signed map is its positive part; of another one what exceeds its smallest
/// value (Wang et al. 2020, "Score-CAM": the energy-based pointing game). A map without mass counts as spread evenly.
/// Of several equal maxima the share that lies inside counts; there is no margin around the box. Pixels that the box
/// cuts count in part. Errors: as map_on_pixels.
ObjectShare object_share(const Tensor& map, bool is_signed, const Corners& box, int64_t height, int64_t width);

}  // namespace vit
