// Multi-head self-attention (Vaswani et al. 2017, section 3.2.2) with timm's options. Mechanisms that differ from it in
// one place (positions in the scores, rotated heads, a gate) derive from it and override a hook.
#pragma once

#include "vit/core/config.h"
#include "vit/nn/attention.h"
#include "vit/nn/linear.h"
#include "vit/nn/norm.h"

namespace vit {

struct SelfAttentionOptions {
  bool qkv_bias = true;
  NormKind qk_norm = NormKind::identity;
  NormKind scale_norm = NormKind::identity;
  float norm_eps = 1e-6f;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("qk_norm", qk_norm, "Normalises queries and keys, per head, before their product.");
    v("scale_norm", scale_norm, "Normalises the heads' output before the last projection.");
    v("norm_eps", norm_eps, "Epsilon of these norms.", above(0));
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

class SelfAttention : public Attention {
 public:
  using Options = SelfAttentionOptions;
  /// Errors: dim is not divisible by num_heads.
  SelfAttention(const AttentionShape& shape, const SelfAttentionOptions& options);
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 protected:
  /// Gives positions to the heads of the packed projection, [q | k | v] [B, N, 3C] -> the same shape.
  virtual Var place_heads(Context& ctx, const Var& qkv, const AttentionInput& input) const;
  /// What is added to the scores, as AttentionOptions::bias: AttentionInput::bias, and what a mechanism adds to it.
  virtual Var score_bias(Context& ctx, const AttentionInput& input) const;
  /// The heads' output [B, N, C] on its way to the last projection; x [B, N or more, C] is what forward was given.
  virtual Var filter(Context& ctx, const Var& mixed, const Var& x) const;

  int64_t dim() const { return dim_; }
  int64_t heads() const { return heads_; }
  int64_t head_dim() const { return head_dim_; }

 private:
  struct Heads {
    HeadColumns q, k, v;
  };
  Heads project(Context& ctx, const Var& x, const AttentionInput& input) const;

  int64_t dim_, heads_, head_dim_;
  Linear qkv_;
  Norm q_norm_, k_norm_;
  Norm norm_;
  Linear proj_;
};

}  // namespace vit
