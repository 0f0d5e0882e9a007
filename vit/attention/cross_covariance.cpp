#include "vit/attention/cross_covariance.h"

#include "vit/attention/memory.h"
#include "vit/autograd/attention_ops.h"

namespace vit {

CrossCovarianceAttention::CrossCovarianceAttention(const AttentionShape& shape, const CrossCovarianceOptions& options)
    : dim_(shape.dim),
      heads_(shape.num_heads),
      head_dim_(head_dim_of(shape)),
      qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
      proj_(shape.dim, shape.dim, options.proj_bias) {
  add_parameter("temperature", temperature_, {heads_, 1, 1}, Init::ones());
  add_module("qkv", qkv_);
  add_module("proj", proj_);
}

Var CrossCovarianceAttention::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  const Var qkv = qkv_.forward(ctx, x);
  const HeadColumns q{qkv, 0}, k{qkv, dim_}, v{qkv, 2 * dim_};
  const ChannelAttentionOptions options{.heads = heads_,
                                        .head_dim = head_dim_,
                                        .temperature = reshape(ctx, temperature_.value, {heads_}),
                                        .normalize = true};
  if (ctx.wants("channel_probs")) ctx.observe("channel_probs", channel_attention_probs(ctx, q, k, options));
  Var y = channel_attention(ctx, q, k, v, options);
  ctx.observe("channel_values", y.value());
  if (input.wanted_tokens > 0) y = slice_tokens(ctx, y, 0, input.wanted_tokens);
  return proj_.forward(ctx, y, input.residual);
}

VITKIT_REGISTER_ATTENTION("cross_covariance", CrossCovarianceAttention, .family = AttentionFamily::channel,
                          .summary = "XCiT: channels look at channels by their correlation over the tokens",
                          .formula = "softmax(t * q^T k) v^T, per head, with q and k of unit norm over the tokens",
                          .source = "El-Nouby et al. 2021 (XCiT), section 3.2, eq. 2", .complexity = "O(N C^2 / H)",
                          .equivariance = Equivariance::tokens);

}  // namespace vit
