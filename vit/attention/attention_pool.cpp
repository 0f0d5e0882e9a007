#include "vit/attention/attention_pool.h"

#include <cmath>

#include "vit/attention/memory.h"
#include "vit/autograd/observed.h"

namespace vit {

const std::vector<std::pair<LatentPool, std::string>>& enum_names(LatentPool) {
  static const std::vector<std::pair<LatentPool, std::string>> names = {{LatentPool::token, "token"},
                                                                        {LatentPool::avg, "avg"}};
  return names;
}

AttentionPool::AttentionPool(const AttentionShape& shape, const AttentionPoolOptions& options)
    : dim_(shape.dim),
      heads_(shape.num_heads),
      head_dim_(head_dim_of(shape)),
      memory_dim_(shape.memory_dim),
      pool_type_(options.pool_type),
      q_(shape.dim, shape.dim, options.qkv_bias),
      kv_(memory_dim_ > 0 ? memory_dim_ : shape.dim, 2 * shape.dim, options.qkv_bias),
      q_norm_(options.qk_norm, head_dim_, options.norm_eps),
      k_norm_(options.qk_norm, head_dim_, options.norm_eps),
      proj_(shape.dim, shape.dim),
      norm_(options.norm, shape.dim, options.norm_eps),
      mlp_({.dim = shape.dim,
            .hidden = static_cast<int64_t>(static_cast<double>(shape.dim) * options.mlp_ratio),
            .activation = options.act}) {
  const float std = 1.0f / std::sqrt(static_cast<float>(shape.dim));
  add_parameter("latent", latent_, {1, options.latent_len, shape.dim}, Init::truncated_normal(std));
  add_module("q", q_);
  add_module("kv", kv_);
  add_module("q_norm", q_norm_);
  add_module("k_norm", k_norm_);
  add_module("proj", proj_);
  add_module("norm", norm_);
  add_module("mlp", mlp_);
}

Var AttentionPool::latents(Context& ctx, const Var& tokens, const Var& bias) const {
  // The queries are the same for every sample, so they are projected once.
  const Var asked = q_norm_.forward_heads(ctx, {q_.forward(ctx, latent_.value), 0}, heads_);
  const Var q = repeat_for_batch(ctx, asked, tokens.size(0));
  const Var kv = k_norm_.forward_heads(ctx, {kv_.forward(ctx, tokens), 0}, heads_);
  const AttentionOptions options{
      .heads = heads_, .head_dim = head_dim_, .scale = 1.0f / std::sqrt(static_cast<float>(head_dim_)), .bias = bias};
  const Var y = proj_.forward(ctx, observed_attention(ctx, {q, 0}, {kv, 0}, {kv, dim_}, options));
  return mlp_.forward(ctx, norm_.forward(ctx, y), {.residual = y});
}

Var AttentionPool::pool(Context& ctx, const Var& tokens, const Var& bias) const {
  const Var y = latents(ctx, tokens, bias);
  return pool_type_ == LatentPool::token ? select_token(ctx, y, 0) : reduce_tokens(ctx, y, 0, Reduction::mean);
}

Var AttentionPool::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  refuse_bias("attention_pool", input);
  const Var memory = memory_of(x, input, memory_dim_);
  const Var pooled = pool(ctx, memory, memory_bias(ctx, input, memory));
  const int64_t tokens = input.wanted_tokens > 0 ? input.wanted_tokens : x.size(1);
  const Var everywhere = add(ctx, reshape(ctx, pooled, {pooled.size(0), 1, dim_}), Tensor::zeros({1, tokens, 1}));
  return with_residual(ctx, everywhere, input.residual);
}

VITKIT_REGISTER_ATTENTION("attention_pool", AttentionPool, .family = AttentionFamily::region,
                          .summary = "learned queries pool all tokens; every token is given the result",
                          .formula = "y = softmax(q k(x)^T / sqrt(D)) v(x), q learned; pooled = y + mlp(norm(y))",
                          .source = "Lee et al. 2019, Set transformer, section 3.2; timm AttentionPoolLatent",
                          .complexity = "O(N C^2)", .equivariance = Equivariance::tokens);

}  // namespace vit
