#include "vit/attention/channel_group.h"

#include <cmath>

#include "vit/attention/memory.h"
#include "vit/autograd/attention_ops.h"

namespace vit {

const std::vector<std::pair<ChannelGroupRoles, std::string>>& enum_names(ChannelGroupRoles) {
  static const std::vector<std::pair<ChannelGroupRoles, std::string>> names = {{ChannelGroupRoles::k_v, "k_v"},
                                                                               {ChannelGroupRoles::q_k, "q_k"}};
  return names;
}

ChannelGroupAttention::ChannelGroupAttention(const AttentionShape& shape, const ChannelGroupOptions& options)
    : dim_(shape.dim),
      heads_(shape.num_heads),
      head_dim_(head_dim_of(shape)),
      roles_(options.roles),
      qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
      proj_(shape.dim, shape.dim, options.proj_bias) {
  add_module("qkv", qkv_);
  add_module("proj", proj_);
}

Var ChannelGroupAttention::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  const Var qkv = qkv_.forward(ctx, x);
  const HeadColumns q{qkv, 0}, k{qkv, dim_}, v{qkv, 2 * dim_};
  const bool mixes_q = roles_ == ChannelGroupRoles::k_v;
  const int64_t terms = mixes_q ? head_dim_ : x.size(1);
  const ChannelAttentionOptions options{
      .heads = heads_, .head_dim = head_dim_, .scale = 1.0f / std::sqrt(static_cast<float>(terms))};
  const HeadColumns &rows = mixes_q ? k : q, &columns = mixes_q ? v : k, &mixed = mixes_q ? q : v;
  if (ctx.wants("channel_probs")) ctx.observe("channel_probs", channel_attention_probs(ctx, rows, columns, options));
  Var y = channel_attention(ctx, rows, columns, mixed, options);
  ctx.observe("channel_values", y.value());
  if (input.wanted_tokens > 0) y = slice_tokens(ctx, y, 0, input.wanted_tokens);
  return proj_.forward(ctx, y, input.residual);
}

VITKIT_REGISTER_ATTENTION("channel_group", ChannelGroupAttention, .family = AttentionFamily::channel,
                          .summary = "DaViT: groups of channels attend among themselves, over all tokens",
                          .formula = "softmax(k^T v / sqrt(D)) q^T, per group of D channels",
                          .source = "Ding et al. 2022 (DaViT), section 3.3, eq. 4", .complexity = "O(N C^2 / H)",
                          .equivariance = Equivariance::tokens);

}  // namespace vit
