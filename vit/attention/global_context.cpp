#include "vit/attention/global_context.h"

#include <algorithm>

#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

/// The one map of probabilities [B, 1, N], which every query shares, as observers expect it: [B, 1, N, N].
Tensor for_every_query(const Tensor& probs) {
  const int64_t batch = probs.size(0), tokens = probs.size(2);
  Tensor all = Tensor::empty({batch, 1, tokens, tokens});
  for (int64_t row = 0; row < batch * tokens; ++row)
    std::copy_n(probs.f32() + row / tokens * tokens, tokens, all.f32() + row * tokens);
  return all;
}

}  // namespace

GlobalContext::GlobalContext(const AttentionShape& shape, const GlobalContextOptions& options) : options_(options) {
  if (options.use_attn)
    add_module("conv_attn", conv_attn_.emplace(Conv2d::Options{.in_channels = shape.dim, .out_channels = 1}));
  const SqueezeMlp::Options mlp{.dim = shape.dim,
                                .hidden = options.width.of(shape.dim),
                                .activation = options.act_layer,
                                .norm = SqueezeNorm::layer_norm};
  if (options.fuse_add) add_module("mlp_add", mlp_add_.emplace(mlp));
  if (options.fuse_scale) add_module("mlp_scale", mlp_scale_.emplace(mlp));
}

Var GlobalContext::context(Context& ctx, const Var& x) const {
  if (!conv_attn_) return squeeze_tokens(ctx, x, false);
  const int64_t batch = x.size(0), tokens = x.size(1);
  const Var scores = reshape(ctx, conv_attn_->forward(ctx, x), {batch, 1, tokens});
  const Var probs = softmax(ctx, scores);
  if (ctx.wants("scores")) ctx.observe("scores", for_every_query(scores.value()));
  if (ctx.wants("probs")) ctx.observe("probs", for_every_query(probs.value()));
  return reshape(ctx, matmul(ctx, probs, x), {batch, x.size(2)});
}

Var GlobalContext::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  const Var pooled = context(ctx, x);
  Var y = input.wanted_tokens > 0 ? slice_tokens(ctx, x, 0, input.wanted_tokens) : x;
  if (mlp_scale_) {
    // Where nothing follows, the block's residual is fused into the gate.
    const Var gate = mlp_scale_->forward(ctx, pooled, options_.gate_layer);
    if (!mlp_add_) return gate_tokens(ctx, y, gate, {.residual = input.residual});
    y = gate_tokens(ctx, y, gate, {});
  }
  if (mlp_add_) y = add(ctx, y, reshape(ctx, mlp_add_->forward(ctx, pooled), {x.size(0), 1, x.size(2)}));
  return with_residual(ctx, y, input.residual);
}

VITKIT_REGISTER_ATTENTION(
    "global_context", GlobalContext, .family = AttentionFamily::channel,
    .summary = "global context: one attention map for all queries, and a gate made of what it sees",
    .formula = "c = sum_n softmax_n(w x_n) x_n; x * sigmoid(MLP(c)) and / or x + MLP(c)",
    .source = "Cao et al. 2019, GCNet, eq. 5", .complexity = "O(N C + C^2 / r)", .equivariance = Equivariance::tokens,
    .smooth = false);

}  // namespace vit
