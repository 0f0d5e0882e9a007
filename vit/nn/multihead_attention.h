// MultiheadAttention: torch.nn.MultiheadAttention with its parameter names, masks and options (Vaswani et al. 2017,
// section 3.2.2). DETR and its kin are made of it.
#pragma once

#include <array>
#include <cstdint>

#include "vit/nn/linear.h"
#include "vit/nn/module.h"

namespace vit {

struct MultiheadAttentionOptions {
  int64_t embed_dim = 0;
  int64_t num_heads = 1;
  bool bias = true;
  int64_t kdim = 0;            ///< width of the keys; 0: embed_dim
  int64_t vdim = 0;            ///< width of the values; 0: embed_dim
  bool add_bias_kv = false;    ///< a learned key and value after the others
  bool add_zero_attn = false;  ///< a key and value of zeros after the others
  float dropout = 0.0f;        ///< of the probabilities, in training
};

/// What queries may not see. Both may be undefined.
struct AttentionMasks {
  Tensor key_padding{};  ///< bool [B, S]: true is ignored; or f32, added to the scores
  Tensor attention{};    ///< bool (true is ignored) or f32 (added), [L, S] or [B * H, L, S]
};

class MultiheadAttention : public Module {
 public:
  /// Parameters: in_proj_weight [3E, E], or q_proj_weight, k_proj_weight and v_proj_weight where widths differ;
  /// in_proj_bias [3E]; bias_k, bias_v [1, 1, E]; out_proj.*. Errors (usage): num_heads does not divide embed_dim.
  explicit MultiheadAttention(const MultiheadAttentionOptions& options);

  /// query [B, L, E], key [B, S, kdim], value [B, S, vdim] -> [B, L, E]; `output` is fused into the last projection.
  /// Observed as "probs": [B, H, L, S']. Errors: masks of other shapes.
  Var forward(Context& ctx, const Var& query, const Var& key, const Var& value, const AttentionMasks& masks = {},
              const LinearOptions& output = {}) const;

  /// Packs the projections of queries, keys and values, each by itself.
  void prepare() override;

 private:
  struct Projected {
    Var q, k, v;
    int64_t q_first, k_first, v_first;  // columns inside the tensors
  };
  /// One of the three projections on its way into a product.
  struct Part {
    PackedWeight packed;
    Var bias;
  };
  Projected project(Context& ctx, const Var& query, const Var& key, const Var& value) const;
  Var project_part(Context& ctx, const Var& x, const Parameter& own_weight, int64_t index) const;
  Var mix(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
          const AttentionOptions& options) const;
  Tensor merge(Context& ctx, const AttentionMasks& masks, int64_t batch, int64_t queries, int64_t keys,
               int64_t extra) const;

  MultiheadAttentionOptions options_;
  bool one_weight_;
  Parameter in_proj_weight_, q_proj_weight_, k_proj_weight_, v_proj_weight_, in_proj_bias_, bias_k_, bias_v_;
  std::array<Part, 3> parts_;  ///< of queries, keys and values, where they are prepared
  bool prepared_ = false;
  Linear out_proj_;
};

}  // namespace vit
