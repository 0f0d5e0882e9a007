#include "vit/nn/block.h"

namespace vit {

Block::Block(const BlockOptions& options, std::unique_ptr<Attention> attention)
    : norm1_(options.norm, options.dim, options.norm_eps),
      norm2_(options.norm, options.dim, options.norm_eps),
      attention_(std::move(attention)),
      mlp_(options.mlp) {
  if (options.init_values) {
    scale1_.emplace(options.scale_names[0], options.dim, *options.init_values);
    scale2_.emplace(options.scale_names[1], options.dim, *options.init_values);
  }
  add_module("norm1", norm1_);
  add_module("attn", *attention_);
  if (scale1_) add_module("", *scale1_);
  add_module("norm2", norm2_);
  add_module("mlp", mlp_);
  if (scale2_) add_module("", *scale2_);
}

Var Block::attend(Context& ctx, const Var& x, AttentionInput input, const LinearOptions& skip) const {
  Scope scope(ctx, "attn");
  if (ctx.wants("layout"))
    ctx.observe("layout",
                Tensor::from<float>({static_cast<float>(input.prefix_tokens), static_cast<float>(input.grid.height),
                                     static_cast<float>(input.grid.width)},
                                    {3}));
  input.residual = skip;
  return attention_->forward(ctx, norm1_.forward(ctx, x), input);
}

Var Block::forward(Context& ctx, const Var& x, AttentionInput input, const Between& between) const {
  HeadColumns keys;
  if (between) input.keys = &keys;
  const auto gamma = [](const std::optional<LayerScale>& scale) { return scale ? scale->gamma.value : Var(); };
  const Var kept = input.wanted_tokens > 0 ? slice_tokens(ctx, x, 0, input.wanted_tokens) : x;
  const float drop = dropout_.proj_drop, path = dropout_.drop_path;
  if (!ctx.training || (drop == 0.0f && path == 0.0f)) {
    Var y = attend(ctx, x, input, {.gamma = gamma(scale1_), .residual = kept});
    if (between) y = between(ctx, y, keys);
    Scope scope(ctx, "mlp");
    return mlp_.forward(ctx, norm2_.forward(ctx, y), {.gamma = gamma(scale2_), .residual = y});
  }
  // What is dropped is the branch, so the skip connection is added afterwards.
  const Var attended = dropout(ctx, attend(ctx, x, input, {.gamma = gamma(scale1_)}), drop);
  Var y = drop_path(ctx, kept, attended, path);
  if (between) y = between(ctx, y, keys);
  Scope scope(ctx, "mlp");
  const Var mixed = mlp_.forward(ctx, norm2_.forward(ctx, y), {.gamma = gamma(scale2_)}, drop);
  return drop_path(ctx, y, dropout(ctx, mixed, drop), path);
}

}  // namespace vit
