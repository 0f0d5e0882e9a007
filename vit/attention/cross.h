// Cross-attention (Vaswani et al. 2017, section 3.2.3): queries from x, keys and values from a memory.
#pragma once

#include <optional>

#include "vit/attention/attention_weights.h"
#include "vit/nn/attention.h"
#include "vit/nn/linear.h"
#include "vit/nn/norm.h"

namespace vit {

struct CrossAttentionOptions {
  bool qkv_bias = true;
  bool packed_kv = true;
  NormKind qk_norm = NormKind::identity;
  float norm_eps = 1e-6f;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("qkv_bias", qkv_bias, "Biases of the query, key and value projections.");
    v("packed_kv", packed_kv, "Keys and values come from one projection, `kv`; off: from `k` and `v`.");
    v("qk_norm", qk_norm, "Normalises queries and keys, per head, before their product.");
    v("norm_eps", norm_eps, "Epsilon of these norms.", above(0));
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

class CrossAttention : public Attention, public WeightsSource {
 public:
  using Options = CrossAttentionOptions;
  /// A shape without a memory makes x its own. Errors: dim is not divisible by num_heads.
  CrossAttention(const AttentionShape& shape, const CrossAttentionOptions& options);
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 private:
  int64_t dim_, heads_, head_dim_, memory_dim_;
  Linear q_;
  std::optional<Linear> kv_, k_, v_;
  Norm q_norm_, k_norm_;
  Linear proj_;
};

}  // namespace vit
