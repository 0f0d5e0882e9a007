#include "vit/nn/mlp.h"

namespace vit {

Mlp::Mlp(const MlpOptions& options)
    : options_(options),
      fc1_(options.dim, options.gated ? 2 * options.hidden : options.hidden, options.bias),
      norm_(options.norm, options.hidden, options.norm_eps),
      fc2_(options.hidden, options.dim, options.bias) {
  add_module("fc1", fc1_);
  add_module("norm", norm_);
  add_module("fc2", fc2_);
}

Var Mlp::forward(Context& ctx, const Var& x, const LinearOptions& residual, float drop) const {
  Var hidden = options_.gated ? gated_activation(ctx, fc1_.forward(ctx, x), options_.activation)
                              : fc1_.forward(ctx, x, {.activation = options_.activation});
  hidden = dropout(ctx, hidden, drop);
  return fc2_.forward(ctx, norm_.forward(ctx, hidden), residual);
}

}  // namespace vit
