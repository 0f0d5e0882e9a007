#include "vit/nn/block.h"

namespace vit {

Block::Block(const BlockOptions& options, std::unique_ptr<Attention> attention)
    : norm1_(options.norm, options.dim, options.norm_eps),
      norm2_(options.norm, options.dim, options.norm_eps),
      attention_(std::move(attention)),
      mlp_(options.mlp) {
  if (options.init_values) {
    scale1_.emplace(options.dim, *options.init_values);
    scale2_.emplace(options.dim, *options.init_values);
  }
  add_module("norm1", norm1_);
  add_module("attn", *attention_);
  if (scale1_) add_module("ls1", *scale1_);
  add_module("norm2", norm2_);
  add_module("mlp", mlp_);
  if (scale2_) add_module("ls2", *scale2_);
}

Var Block::forward(Context& ctx, const Var& x, AttentionInput input) const {
  const auto skip = [](const Var& residual, const std::optional<LayerScale>& scale) {
    return LinearOptions{.gamma = scale ? scale->gamma.value : Var(), .residual = residual};
  };
  Var y;
  {
    Scope scope(ctx, "attn");
    const bool fewer = input.wanted_tokens > 0;
    input.residual = skip(fewer ? slice_tokens(ctx, x, 0, input.wanted_tokens) : x, scale1_);
    y = attention_->forward(ctx, norm1_.forward(ctx, x), input);
  }
  Scope scope(ctx, "mlp");
  return mlp_.forward(ctx, norm2_.forward(ctx, y), skip(y, scale2_));
}

}  // namespace vit
