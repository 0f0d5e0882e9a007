#include "vit/attention/cross.h"

#include <cmath>

#include "vit/attention/memory.h"

namespace vit {

CrossAttention::CrossAttention(const AttentionShape& shape, const CrossAttentionOptions& options)
    : dim_(shape.dim),
      heads_(shape.num_heads),
      head_dim_(head_dim_of(shape)),
      memory_dim_(shape.memory_dim),
      q_(shape.dim, shape.dim, options.qkv_bias),
      q_norm_(options.qk_norm, head_dim_, options.norm_eps),
      k_norm_(options.qk_norm, head_dim_, options.norm_eps),
      proj_(shape.dim, shape.dim, options.proj_bias) {
  const int64_t source = memory_dim_ > 0 ? memory_dim_ : dim_;
  add_module("q", q_);
  if (options.packed_kv) {
    add_module("kv", kv_.emplace(source, 2 * dim_, options.qkv_bias));
  } else {
    add_module("k", k_.emplace(source, dim_, options.qkv_bias));
    add_module("v", v_.emplace(source, dim_, options.qkv_bias));
  }
  add_module("q_norm", q_norm_);
  add_module("k_norm", k_norm_);
  add_module("proj", proj_);
}

Var CrossAttention::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  const Var memory = memory_of(x, input, memory_dim_);
  const Var q = q_norm_.forward_heads(ctx, {q_.forward(ctx, asking_tokens(ctx, x, input)), 0}, heads_);
  const Var k = k_norm_.forward_heads(ctx, {(kv_ ? *kv_ : *k_).forward(ctx, memory), 0}, heads_);
  const HeadColumns v = kv_ ? HeadColumns{k, dim_} : HeadColumns{v_->forward(ctx, memory), 0};
  const AttentionOptions options{.heads = heads_,
                                 .head_dim = head_dim_,
                                 .scale = 1.0f / std::sqrt(static_cast<float>(head_dim_)),
                                 .bias = memory_bias(ctx, input, memory)};
  return proj_.forward(ctx, told_attention(ctx, {q, 0}, {k, 0}, v, options), input.residual);
}

VITKIT_REGISTER_ATTENTION("cross", CrossAttention, .family = AttentionFamily::region,
                          .summary = "every token looks at all entries of a memory",
                          .formula = "softmax(q(x) k(memory)^T / sqrt(D) + mask) v(memory), per head",
                          .source = "Vaswani et al. 2017, section 3.2.3", .complexity = "O(N M C)",
                          .needs_memory = true, .equivariance = Equivariance::tokens);

}  // namespace vit
