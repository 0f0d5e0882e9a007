// Pooling as a matrix: which share each token has in each pooled one. matmul() with it pools, and its transpose spreads
// what a pooled token says over the tokens it was made from.
#pragma once

#include "vit/core/tensor.h"

namespace vit {

/// Shares of the tokens of a line in `pieces` averages, placed as torch's AdaptiveAvgPool2d does: [pieces, length].
Tensor adaptive_average(int64_t length, int64_t pieces);

/// Shares of rows [p, height] and of columns [q, width] -> shares of a map's tokens [p q, prefix + height width].
/// Prefix tokens have none.
Tensor map_shares(const Tensor& rows, const Tensor& cols, int64_t prefix = 0);

}  // namespace vit
