#include "vit/models/davit_block.h"

#include <utility>

#include "vit/autograd/observed.h"
#include "vit/nn/layout.h"

namespace vit {

ConvPositions::ConvPositions(int64_t dim, Activation activation)
    : proj_({.in_channels = dim,
             .out_channels = dim,
             .conv = {.kernel_h = 3, .kernel_w = 3, .padding = 1, .groups = dim},
             .torch_init = true}),
      activation_(activation) {
  add_module("proj", proj_);
}

Var ConvPositions::forward(Context& ctx, const Var& x) const {
  return proj_.forward(ctx, x, {.activation = activation_, .residual = x});
}

DavitBlock::DavitBlock(const DavitBlockOptions& options, std::unique_ptr<Attention> attention)
    : cpe1_(options.dim, options.position_activation),
      norm1_(NormKind::layer_norm, options.dim, options.norm_eps),
      attention_(std::move(attention)),
      cpe2_(options.dim, options.position_activation) {
  add_module("cpe1", cpe1_);
  add_module("norm1", norm1_);
  add_module("attn", *attention_);
  add_module("cpe2", cpe2_);
  if (!options.mlp_hidden) return;
  add_module("norm2", norm2_.emplace(NormKind::layer_norm, options.dim, options.norm_eps));
  add_module("mlp", mlp_.emplace(MlpOptions{.dim = options.dim, .hidden = *options.mlp_hidden}));
}

Var DavitBlock::attend(Context& ctx, const Var& x, const LinearOptions& skip, Grid grid) const {
  const Var normed = observed(ctx, "norm1", norm1_.forward(ctx, x));
  Scope scope(ctx, "attn");
  observe_layout(ctx, 0, grid);
  return attention_->forward(ctx, normed, {.grid = grid, .residual = skip});
}

Var DavitBlock::forward(Context& ctx, const Var& x) const {
  const Grid grid{x.size(1), x.size(2)};
  const Shape map = x.shape(), tokens{x.size(0), grid.count(), x.size(3)};
  const float drop = dropout_.proj_drop, path = dropout_.drop_path;
  // What is dropped is the branch, so its skip connection is added afterwards.
  const bool dropping = ctx.training && (drop > 0.0f || path > 0.0f);
  const Var placed = reshape(ctx, cpe1_.forward(ctx, x), tokens);
  const Var attended = dropping ? drop_path(ctx, placed, dropout(ctx, attend(ctx, placed, {}, grid), drop), path)
                                : attend(ctx, placed, {.residual = placed}, grid);
  const Var y = cpe2_.forward(ctx, reshape(ctx, attended, map));
  if (!mlp_) return y;
  Scope scope(ctx, "mlp");
  const Var skip = reshape(ctx, y, tokens), normed = norm2_->forward(ctx, skip);
  const Var mixed = dropping ? drop_path(ctx, skip, dropout(ctx, mlp_->forward(ctx, normed, {}, drop), drop), path)
                             : mlp_->forward(ctx, normed, {.residual = skip});
  return reshape(ctx, mixed, map);
}

}  // namespace vit
