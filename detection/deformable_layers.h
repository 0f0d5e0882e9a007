// The transformer layers of Deformable DETR (Zhu et al. 2021) and RT-DETR (Zhao et al. 2024): attention among queries,
// deformable attention to the maps, and an MLP, each with its norm after the sum. Parameters as in Hugging Face's
// models, but for the queries', keys' and values' projections, which are one in_proj.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/attention/deformable.h"
#include "vit/nn/linear.h"
#include "vit/nn/multihead_attention.h"
#include "vit/nn/norm.h"

namespace detection {

struct TransformerLayerOptions {
  int64_t dim = 0;
  int64_t heads = 8;
  int64_t ffn_dim = 1024;
  int64_t levels = 1;  ///< maps that deformable attention looks at
  int64_t points = 4;  ///< of each head in each map
  vit::Activation activation = vit::Activation::relu;
  float norm_eps = 1e-5f;
  float dropout = 0.0f;             ///< of what each part adds, in training
  float attention_dropout = 0.0f;   ///< of the probabilities of attention among queries
  float activation_dropout = 0.0f;  ///< of the MLPs' hidden values
};

/// What the layers look at.
struct Memory {
  vit::Var tokens;               ///< [B, M, C]: the maps' cells, one map after the other
  std::vector<vit::Grid> grids;  ///< of these maps
  vit::Tensor mask{};            ///< f32 [B, M]: -inf where there is no picture; undefined: all is picture
};

/// x + branch(epilogue), where the epilogue has the sum fused into the branch's last projection unless dropout comes
/// between.
template <class Branch>
vit::Var residual_sum(vit::Context& ctx, const vit::Var& x, float drop, const Branch& branch) {
  if (ctx.training && drop > 0.0f) return vit::add(ctx, x, vit::dropout(ctx, branch(vit::LinearOptions{}), drop));
  return branch(vit::LinearOptions{.residual = x});
}

/// The MLP of a layer and its norm: final_layer_norm(x + fc2(activation(fc1(x)))).
class FeedForward : public vit::Module {
 public:
  /// Parameters: fc1.*, fc2.*, final_layer_norm.*.
  explicit FeedForward(const TransformerLayerOptions& options);
  /// x [B, N, C] -> [B, N, C]
  vit::Var forward(vit::Context& ctx, const vit::Var& x) const;
  /// With its norm in front: x + fc2(activation(fc1(norm(x)))), as RT-DETR's normalize_before has it: what is added to
  /// is the normalised value.
  vit::Var forward_normalised_first(vit::Context& ctx, const vit::Var& x) const;

 private:
  vit::Var add_branch(vit::Context& ctx, const vit::Var& x) const;

  vit::Activation activation_;
  float dropout_, activation_dropout_;
  vit::Linear fc1_, fc2_;
  vit::Norm norm_;
};

/// A layer of Deformable DETR's encoder: the cells of all maps look at the maps.
class DeformableEncoderLayer : public vit::Module {
 public:
  explicit DeformableEncoderLayer(const TransformerLayerOptions& options);
  /// memory.tokens [B, M, C] -> [B, M, C]. positions [B or 1, M, C] are added to what asks; references as
  /// vit::DeformableInput has them.
  vit::Var forward(vit::Context& ctx, const Memory& memory, const vit::Var& positions,
                   const vit::Tensor& references) const;

 private:
  float dropout_;
  vit::DeformableAttention self_attn_;
  vit::Norm norm_;
  FeedForward feed_forward_;
};

/// What a decoder layer is told beside the queries.
struct DecoderLayerInput {
  vit::Var positions;   ///< [B, Q, C], added to queries and keys
  vit::Var references;  ///< [B, Q, L, 2 or 4]
  vit::Tensor mask{};   ///< f32 [Q, Q], added to the scores among queries; undefined: none
};

class DeformableDecoderLayer : public vit::Module {
 public:
  explicit DeformableDecoderLayer(const TransformerLayerOptions& options);
  /// x [B, Q, C] -> [B, Q, C]
  vit::Var forward(vit::Context& ctx, const vit::Var& x, const Memory& memory, const DecoderLayerInput& input) const;

 private:
  float dropout_;
  vit::MultiheadAttention self_attn_;
  vit::Norm self_attn_norm_;
  vit::DeformableAttention encoder_attn_;
  vit::Norm encoder_attn_norm_;
  FeedForward feed_forward_;
};

}  // namespace detection
