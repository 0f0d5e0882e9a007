#include "vit/attention/self.h"

#include <cmath>

#include "vit/attention/memory.h"
#include "vit/autograd/observed.h"

namespace vit {

SelfAttention::SelfAttention(const AttentionShape& shape, const SelfAttentionOptions& options)
    : dim_(shape.dim),
      heads_(shape.num_heads),
      head_dim_(head_dim_of(shape)),
      qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
      q_norm_(options.qk_norm, head_dim_, options.norm_eps),
      k_norm_(options.qk_norm, head_dim_, options.norm_eps),
      norm_(options.scale_norm, shape.dim, options.norm_eps),
      proj_(shape.dim, shape.dim, options.proj_bias) {
  add_module("qkv", qkv_);
  add_module("q_norm", q_norm_);
  add_module("k_norm", k_norm_);
  add_module("norm", norm_);
  add_module("proj", proj_);
}

Var SelfAttention::place_heads(Context&, const Var& qkv, const AttentionInput&) const { return qkv; }

Var SelfAttention::score_bias(Context&, const AttentionInput& input) const { return input.bias; }

Var SelfAttention::filter(Context&, const Var& mixed, const Var&) const { return mixed; }

SelfAttention::Heads SelfAttention::project(Context& ctx, const Var& x, const AttentionInput& input) const {
  Var qkv = qkv_.forward(ctx, x);
  qkv = q_norm_.forward_heads(ctx, {qkv, 0}, heads_);
  qkv = k_norm_.forward_heads(ctx, {qkv, dim_}, heads_);
  qkv = place_heads(ctx, qkv, input);
  // Where few outputs are wanted all tokens are still keys and values, but only the first ones ask.
  const Var asking = input.wanted_tokens > 0 ? slice_tokens(ctx, qkv, 0, input.wanted_tokens) : qkv;
  return {{asking, 0}, {qkv, dim_}, {qkv, 2 * dim_}};
}

Var SelfAttention::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  const Heads heads = project(ctx, x, input);
  if (input.keys) *input.keys = heads.k;
  const AttentionOptions options{.heads = heads_,
                                 .head_dim = head_dim_,
                                 .scale = 1.0f / std::sqrt(static_cast<float>(head_dim_)),
                                 .bias = score_bias(ctx, input)};
  const Var mixed = filter(ctx, observed_attention(ctx, heads.q, heads.k, heads.v, options), x);
  return proj_.forward(ctx, norm_.forward(ctx, mixed), input.residual);
}

VITKIT_REGISTER_ATTENTION("self", SelfAttention, .family = AttentionFamily::spatial,
                          .summary = "multi-head self-attention: every token looks at every other",
                          .formula = "softmax(q k^T / sqrt(D)) v, per head",
                          .source = "Vaswani et al. 2017, section 3.2.2", .complexity = "O(N^2 C)", .offers_keys = true,
                          .equivariance = Equivariance::tokens);

}  // namespace vit
