// Positions of a map's cells as sines and cosines (Vaswani et al. 2017, section 3.5, in two dimensions; Parmar et al.
// 2018), counted over the part of the map that is picture: DETR's and Deformable DETR's.
#pragma once

#include <cstdint>

#include "vit/core/tensor.h"
#include "vit/nn/attention.h"

namespace detection {

struct SinePositionOptions {
  int64_t dim = 256;             ///< C, divisible by 4: half for rows, half for columns
  double temperature = 10000.0;  ///< longest wave over shortest
  /// What is taken from a cell's number before it is divided by the picture's extent: 0 in DETR, 0.5 in Deformable
  /// DETR.
  float offset = 0.0f;
};

/// f32 [1 or B, grid.height * grid.width, C]. `picture`, boolean [B, cells], says which cells are picture, undefined:
/// all. Row i of n (of the cells above it that are picture, itself included) is at 2 pi (i - offset) / (n + 1e-6); the
/// first half of the channels is the row, the second the column. Errors (usage): dim is not divisible by 4.
vit::Tensor sine_positions(const vit::Grid& grid, const vit::Tensor& picture, const SinePositionOptions& options);

}  // namespace detection
