#include "vit/nn/block.h"

#include "vit/autograd/observed.h"
#include "vit/nn/layout.h"

namespace vit {

Block::Block(const BlockOptions& options, std::unique_ptr<Attention> attention)
    : norm1_(options.norm, options.dim, options.norm_eps),
      norm2_(options.norm, options.dim, options.norm_eps),
      attention_(std::move(attention)),
      mlp_(options.mlp) {
  if (options.init_values) {
    const Init init = Init::constant(*options.init_values);
    if (options.own_scales) {
      add_parameter("gamma_1", gamma1_, {options.dim}, init);
      add_parameter("gamma_2", gamma2_, {options.dim}, init);
    } else {
      ls1_.add_parameter("gamma", gamma1_, {options.dim}, init);
      ls2_.add_parameter("gamma", gamma2_, {options.dim}, init);
    }
  }
  add_module("norm1", norm1_);
  add_module("attn", *attention_);
  add_module("ls1", ls1_);
  add_module("norm2", norm2_);
  add_module("mlp", mlp_);
  add_module("ls2", ls2_);
}

Var Block::attend(Context& ctx, const Var& x, AttentionInput input, const LinearOptions& skip) const {
  const Var normed = observed(ctx, "norm1", norm1_.forward(ctx, x));
  Scope scope(ctx, "attn");
  observe_layout(ctx, input.prefix_tokens, input.grid);
  input.residual = skip;
  return attention_->forward(ctx, normed, input);
}

Var Block::forward(Context& ctx, const Var& x, AttentionInput input, const Between& between) const {
  HeadColumns keys;
  if (between) input.keys = &keys;
  const Var kept = input.wanted_tokens > 0 ? slice_tokens(ctx, x, 0, input.wanted_tokens) : x;
  const float drop = dropout_.proj_drop, path = dropout_.drop_path;
  if (!ctx.training || (drop == 0.0f && path == 0.0f)) {
    Var y = attend(ctx, x, input, {.gamma = gamma1_.value, .residual = kept});
    if (between) y = between(ctx, y, keys);
    Scope scope(ctx, "mlp");
    return mlp_.forward(ctx, norm2_.forward(ctx, y), {.gamma = gamma2_.value, .residual = y});
  }
  // What is dropped is the branch, so the skip connection is added afterwards.
  const Var attended = dropout(ctx, attend(ctx, x, input, {.gamma = gamma1_.value}), drop);
  Var y = drop_path(ctx, kept, attended, path);
  if (between) y = between(ctx, y, keys);
  Scope scope(ctx, "mlp");
  const Var mixed = mlp_.forward(ctx, norm2_.forward(ctx, y), {.gamma = gamma2_.value}, drop);
  return drop_path(ctx, y, dropout(ctx, mixed, drop), path);
}

}  // namespace vit
