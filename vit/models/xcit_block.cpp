#include "vit/models/xcit_block.h"

#include <utility>

#include "vit/autograd/observed.h"
#include "vit/nn/layout.h"

namespace vit {

namespace {

Conv2d::Options depthwise(int64_t dim) {
  return {.in_channels = dim,
          .out_channels = dim,
          .conv = {.kernel_h = 3, .kernel_w = 3, .padding = 1, .groups = dim},
          .torch_init = true};
}

}  // namespace

LocalPatchInteraction::LocalPatchInteraction(int64_t dim) : conv1_(depthwise(dim)), norm_(dim), conv2_(depthwise(dim)) {
  add_module("conv1", conv1_);
  // This module's own and no child: prepare() needs its parameters.
  for (const auto& [name, parameter] : norm_.own_parameters())
    add_parameter(dotted("bn", name), *parameter, parameter->shape, parameter->init);
  add_module("conv2", conv2_);
}

Var LocalPatchInteraction::forward(Context& ctx, const Var& x, Grid grid, const LinearOptions& residual) const {
  const Shape tokens = x.shape(), map{x.size(0), grid.height, grid.width, x.size(2)};
  const Var hidden = hidden_of(ctx, reshape(ctx, x, map));
  LinearOptions epilogue = residual;
  if (residual.residual.defined()) epilogue.residual = reshape(ctx, residual.residual, map);
  return reshape(ctx, conv2_.forward(ctx, hidden, epilogue), tokens);
}

Var LocalPatchInteraction::hidden_of(Context& ctx, const Var& map) const {
  if (!scale_.defined()) return norm_.forward(ctx, conv1_.forward(ctx, map, Activation::gelu));
  return conv1_.forward(ctx, map, {.activation = Activation::gelu, .gamma = scale_, .residual = shift_});
}

void LocalPatchInteraction::prepare() {
  const BatchNorm::Affine affine = norm_.take_affine();
  scale_ = affine.scale;
  shift_ = affine.shift;
}

XcitBlock::XcitBlock(const XcitBlockOptions& options, std::unique_ptr<Attention> attention)
    : norm1_(NormKind::layer_norm, options.dim, options.norm_eps),
      attention_(std::move(attention)),
      norm3_(NormKind::layer_norm, options.dim, options.norm_eps),
      local_(options.dim),
      norm2_(NormKind::layer_norm, options.dim, options.norm_eps),
      mlp_({.dim = options.dim, .hidden = options.mlp_hidden}) {
  add_parameter("gamma1", gamma1_, {options.dim}, Init::constant(options.eta));
  add_parameter("gamma3", gamma3_, {options.dim}, Init::constant(options.eta));
  add_parameter("gamma2", gamma2_, {options.dim}, Init::constant(options.eta));
  add_module("norm1", norm1_);
  add_module("attn", *attention_);
  add_module("norm3", norm3_);
  add_module("local_mp", local_);
  add_module("norm2", norm2_);
  add_module("mlp", mlp_);
}

Var XcitBlock::forward(Context& ctx, const Var& x, Grid grid) const {
  const float drop = ctx.training ? dropout_.proj_drop : 0.0f, path = ctx.training ? dropout_.drop_path : 0.0f;
  // What is dropped is the branch, so its skip connection is added afterwards.
  const auto with_skip = [&](const Var& skip, const Parameter& gamma, const auto& branch) {
    if (drop == 0.0f && path == 0.0f) return branch(LinearOptions{.gamma = gamma.value, .residual = skip});
    return drop_path(ctx, skip, branch(LinearOptions{.gamma = gamma.value}), path);
  };
  Var y = with_skip(x, gamma1_, [&](const LinearOptions& skip) {
    const Var normed = observed(ctx, "norm1", norm1_.forward(ctx, x));
    Scope scope(ctx, "attn");
    observe_layout(ctx, 0, grid);
    return dropout(ctx, attention_->forward(ctx, normed, {.grid = grid, .residual = skip}), drop);
  });
  // The original has the third norm before the second, too.
  y = with_skip(y, gamma3_, [&](const LinearOptions& skip) {
    Scope scope(ctx, "local_mp");
    return local_.forward(ctx, norm3_.forward(ctx, y), grid, skip);
  });
  return with_skip(y, gamma2_, [&](const LinearOptions& skip) {
    Scope scope(ctx, "mlp");
    return dropout(ctx, mlp_.forward(ctx, norm2_.forward(ctx, y), skip, drop), drop);
  });
}

XcitClassBlock::XcitClassBlock(const XcitBlockOptions& options, std::unique_ptr<Attention> attention)
    : tokens_norm_(options.tokens_norm),
      norm1_(NormKind::layer_norm, options.dim, options.norm_eps),
      attention_(std::move(attention)),
      norm2_(NormKind::layer_norm, options.dim, options.norm_eps),
      mlp_({.dim = options.dim, .hidden = options.mlp_hidden}) {
  add_parameter("gamma1", gamma1_, {options.dim}, Init::constant(options.eta));
  add_parameter("gamma2", gamma2_, {options.dim}, Init::constant(options.eta));
  add_module("norm1", norm1_);
  add_module("attn", *attention_);
  add_module("norm2", norm2_);
  add_module("mlp", mlp_);
}

Var XcitClassBlock::update_patches(Context& ctx, const Var& x, const Var& normed) const {
  const Var branch = scale_channels(ctx, slice_tokens(ctx, normed, 1, x.size(1)), gamma1_.value);
  const Var sum = add(ctx, slice_tokens(ctx, x, 1, x.size(1)), branch);
  return scale(ctx, tokens_norm_ ? norm2_.forward(ctx, sum) : sum, 2.0f);
}

Var XcitClassBlock::forward(Context& ctx, const Var& x, Grid grid, bool class_only) const {
  const Var normed = observed(ctx, "norm1", norm1_.forward(ctx, x)), before = slice_tokens(ctx, x, 0, 1);
  const float drop = ctx.training ? proj_drop_ : 0.0f;
  const auto with_skip = [&](const Var& skip, const Parameter& gamma, const auto& branch) {
    if (drop == 0.0f) return branch(LinearOptions{.gamma = gamma.value, .residual = skip});
    return add(ctx, skip, dropout(ctx, branch(LinearOptions{.gamma = gamma.value}), drop));
  };
  const Var asked = with_skip(before, gamma1_, [&](const LinearOptions& skip) {
    Scope scope(ctx, "attn");
    observe_layout(ctx, 1, grid);
    return attention_->forward(ctx, normed, {.grid = grid, .prefix_tokens = 1, .residual = skip, .wanted_tokens = 1});
  });
  const Var second = norm2_.forward(ctx, asked);
  const Var cls = with_skip(second, gamma2_, [&](const LinearOptions& skip) {
    Scope scope(ctx, "mlp");
    return mlp_.forward(ctx, second, skip, drop);
  });
  return class_only ? cls : concat_tokens(ctx, cls, update_patches(ctx, x, normed));
}

}  // namespace vit
