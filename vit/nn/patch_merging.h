// PatchMerging: a map at half the resolution (Liu et al. 2021, "Swin transformer", section 3.1).
#pragma once

#include "vit/nn/attention.h"
#include "vit/nn/linear.h"
#include "vit/nn/norm.h"

namespace vit {

/// The four neighbours of each 2 x 2 cell side by side (top left, bottom left, top right, bottom right), normalised and
/// projected to another width. Odd maps are padded with zeros. Parameters: norm.*, reduction.weight (timm).
class PatchMerging : public Module {
 public:
  PatchMerging(int64_t dim, int64_t out_dim, float norm_eps);
  /// x [B, N, dim] on a grid -> [B, N', out_dim] on half of it, rounded up, which `grid` becomes.
  Var forward(Context& ctx, const Var& x, Grid& grid) const;

 private:
  Norm norm_;
  Linear reduction_;
};

}  // namespace vit
