// Multi-scale deformable attention: each query looks at a few points of several maps, and says itself where they are.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "vit/autograd/ops.h"

namespace vit {

struct DeformableOptions {
  int64_t heads = 1;
  int64_t head_dim = 0;
  int64_t points = 4;                          ///< P, of each head in each map
  std::vector<std::array<int64_t, 2>> maps{};  ///< height and width of the L maps in `value`, one after the other
};

/// sum over maps l and points p of weight * value_l(position), per head (Zhu et al. 2021, "Deformable DETR", eq. 3):
/// value [B, M, H * D], the maps' cells one after the other; reference [B or 1, T, L, 2 or 4], x and y (and width and
/// height of a box) as shares of the map; offsets [B, T, H * L * P * 2], in cells, or with boxes in halves of a box's
/// extent over P; weights [B, T, H * L * P], after their softmax -> [B, T, H * D]. A position between cells is
/// interpolated bilinearly, and cells outside a map are zeros (torch.nn.functional.grid_sample, align_corners false).
/// Every input has a gradient. Time and memory O(T H L P D): it does not depend on M. Errors: shapes do not match.
Var deformable_attention(Context& ctx, const Var& value, const Var& reference, const Var& offsets, const Var& weights,
                         const DeformableOptions& options);

}  // namespace vit
