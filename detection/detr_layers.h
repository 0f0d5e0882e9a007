// The transformer layers of DETR (Carion et al. 2020, "End-to-end object detection with transformers", section A.3):
// attention among the cells of a map, among the queries, from the queries to the cells, and MLPs. Positions are added
// to queries and keys, not to values, in every layer. Parameters as in Hugging Face's models, but for the projections
// of queries, keys and values, which are one in_proj.
#pragma once

#include <cstdint>

#include "vit/nn/linear.h"
#include "vit/nn/multihead_attention.h"
#include "vit/nn/norm.h"

namespace detection {

struct DetrLayerOptions {
  int64_t dim = 256;
  int64_t heads = 8;
  int64_t ffn_dim = 2048;
  vit::Activation activation = vit::Activation::relu;
  bool pre_norm = false;            ///< each part normalises what it reads, not the sum it ends in
  float dropout = 0.0f;             ///< of what each part adds, in training
  float activation_dropout = 0.0f;  ///< of the MLP's hidden values
  float attention_dropout = 0.0f;   ///< of the attention's probabilities
};

/// What the layers of encoder and decoder share: how parts are added and normalised, and the MLP.
class DetrLayer : public vit::Module {
 protected:
  explicit DetrLayer(const DetrLayerOptions& options);

  /// A part of the layer: what it adds to x, from x (or from norm(x)). `branch(input, epilogue)` fuses the epilogue
  /// into its last projection.
  template <class Branch>
  vit::Var add_part(vit::Context& ctx, const vit::Var& x, const vit::Norm& norm, const Branch& branch) const {
    const vit::Var input = options_.pre_norm ? norm.forward(ctx, x) : x;
    const bool dropping = ctx.training && options_.dropout > 0.0f;
    const vit::Var sum =
        dropping ? vit::add(ctx, x, vit::dropout(ctx, branch(input, vit::LinearOptions{}), options_.dropout))
                 : branch(input, vit::LinearOptions{.residual = x});
    return options_.pre_norm ? sum : norm.forward(ctx, sum);
  }
  vit::Var add_mlp(vit::Context& ctx, const vit::Var& x) const;
  static vit::MultiheadAttentionOptions attention_options(const DetrLayerOptions& options);
  /// Parameters: fc1.*, fc2.*, final_layer_norm.*.
  void add_mlp_parameters();

  DetrLayerOptions options_;

 private:
  vit::Linear fc1_, fc2_;
  vit::Norm final_layer_norm_;
};

class DetrEncoderLayer : public DetrLayer {
 public:
  /// Parameters: self_attn.*, self_attn_layer_norm.*, fc1.*, fc2.*, final_layer_norm.*.
  explicit DetrEncoderLayer(const DetrLayerOptions& options);
  /// x [B, M, C], positions [B or 1, M, C] -> [B, M, C]
  vit::Var forward(vit::Context& ctx, const vit::Var& x, const vit::Var& positions,
                   const vit::AttentionMasks& masks) const;

 private:
  vit::MultiheadAttention self_attn_;
  vit::Norm self_attn_layer_norm_;
};

/// What the decoder's layers look at.
struct DetrMemory {
  vit::Var values;              ///< [B, M, C]: the encoder's output
  vit::Var keys;                ///< the same with positions added
  vit::AttentionMasks masks{};  ///< cells without picture
};

class DetrDecoderLayer : public DetrLayer {
 public:
  /// Parameters: self_attn.*, self_attn_layer_norm.*, encoder_attn.*, encoder_attn_layer_norm.*, fc1.*, fc2.*,
  /// final_layer_norm.*.
  explicit DetrDecoderLayer(const DetrLayerOptions& options);
  /// x [B, Q, C], positions [1, Q, C] -> [B, Q, C]
  vit::Var forward(vit::Context& ctx, const vit::Var& x, const vit::Var& positions, const DetrMemory& memory) const;

 private:
  vit::MultiheadAttention self_attn_;
  vit::Norm self_attn_layer_norm_;
  vit::MultiheadAttention encoder_attn_;
  vit::Norm encoder_attn_layer_norm_;
};

}  // namespace detection
