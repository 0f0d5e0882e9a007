#include "vit/attention/class_attention.h"

#include <cmath>

#include "vit/attention/memory.h"
#include "vit/autograd/observed.h"

namespace vit {

ClassAttention::ClassAttention(const AttentionShape& shape, const ClassAttentionOptions& options)
    : dim_(shape.dim), heads_(shape.num_heads), head_dim_(head_dim_of(shape)), proj_(shape.dim, shape.dim) {
  if (options.packed) {
    add_module("qkv", qkv_.emplace(dim_, 3 * dim_, options.qkv_bias));
  } else {
    add_module("q", q_.emplace(dim_, dim_, options.qkv_bias));
    add_module("k", k_.emplace(dim_, dim_, options.qkv_bias));
    add_module("v", v_.emplace(dim_, dim_, options.qkv_bias));
  }
  add_module("proj", proj_);
}

ClassAttention::Heads ClassAttention::project(Context& ctx, const Var& x, int64_t asking) const {
  if (qkv_) {
    const Var qkv = qkv_->forward(ctx, x);
    return {{slice_tokens(ctx, qkv, 0, asking), 0}, {qkv, dim_}, {qkv, 2 * dim_}};
  }
  return {{q_->forward(ctx, slice_tokens(ctx, x, 0, asking))}, {k_->forward(ctx, x)}, {v_->forward(ctx, x)}};
}

Var ClassAttention::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  check(input.prefix_tokens > 0, "class_attention: there is no class token to ask; set class_token: true");
  const int64_t outputs = input.wanted_tokens > 0 ? input.wanted_tokens : x.size(1);
  const int64_t asking = std::min(input.prefix_tokens, outputs);
  const Heads heads = project(ctx, x, asking);
  const AttentionOptions options{.heads = heads_,
                                 .head_dim = head_dim_,
                                 .scale = 1.0f / std::sqrt(static_cast<float>(head_dim_)),
                                 .bias = input.bias};
  const Var mixed = observed_attention(ctx, heads.q, heads.k, heads.v, options);
  if (asking == outputs) return proj_.forward(ctx, mixed, input.residual);

  LinearOptions skip = input.residual;
  Var others = Tensor::zeros({1, outputs - asking, dim_});
  if (skip.residual.defined()) {
    others = slice_tokens(ctx, skip.residual, asking, outputs);
    skip.residual = slice_tokens(ctx, skip.residual, 0, asking);
  }
  return concat_tokens(ctx, proj_.forward(ctx, mixed, skip), others);
}

VITKIT_REGISTER_ATTENTION("class_attention", ClassAttention, .family = AttentionFamily::region,
                          .summary = "the class token looks at all tokens; patches stay as they are",
                          .formula = "softmax(q_cls k^T / sqrt(D)) v, per head",
                          .source = "Touvron et al. 2021 (CaiT), section 3, eq. 2-5", .complexity = "O(N C^2 + N C)",
                          .needs_prefix = true, .equivariance = Equivariance::tokens);

}  // namespace vit
