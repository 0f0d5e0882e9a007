// Multi-scale deformable attention (Zhu et al. 2021, "Deformable DETR", section 4.1): queries look at a few points of
// each map around a reference, and choose them. Parameters as in Hugging Face's
// DeformableDetrMultiscaleDeformableAttention.
#pragma once

#include <vector>

#include "vit/nn/attention.h"
#include "vit/nn/linear.h"

namespace vit {

struct DeformableAttentionOptions {
  int64_t levels = 1;
  int64_t points = 4;

  template <class V>
  void visit_fields(V& v) {
    v("levels", levels, "Maps that queries look at.", between(1, 64));
    v("points", points, "Points of each head in each map.", between(1, 1024));
  }
};

/// Where a query looks, and at what.
struct DeformableInput {
  Var reference;             ///< [B or 1, T, levels, 2 or 4]: points, or boxes, as shares of the maps (x, y, w, h)
  Var memory;                ///< [B, M, Cm]: cells of the maps, one map after the other
  std::vector<Grid> grids;   ///< of these maps
  Tensor memory_mask{};      ///< f32 [B, M]: cells with -inf are zeros; undefined: none
  LinearOptions residual{};  ///< fused into the last projection
};

class DeformableAttention : public Attention {
 public:
  using Options = DeformableAttentionOptions;
  /// Errors (usage): dim is not divisible by num_heads; more than one level without a memory.
  DeformableAttention(const AttentionShape& shape, const DeformableAttentionOptions& options);

  /// queries [B, T, C] -> [B, T, C]. Errors: shapes do not match.
  Var look(Context& ctx, const Var& queries, const DeformableInput& input) const;

  /// x on its grid looks at itself, or at the memory on memory_grids, from where its own cells are.
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 private:
  int64_t dim_, heads_, head_dim_, memory_dim_, levels_, points_;
  Linear sampling_offsets_, attention_weights_, value_proj_, output_proj_;
};

/// The centres of a grid's cells in every one of `levels` maps: [1, cells, levels, 2].
Tensor cell_centres(const Grid& grid, int64_t levels);

}  // namespace vit
