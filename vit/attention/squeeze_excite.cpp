#include "vit/attention/squeeze_excite.h"

namespace vit {

SqueezeExcite::SqueezeExcite(const AttentionShape& shape, const SqueezeExciteOptions& options)
    : options_(options),
      mlp_({.dim = shape.dim,
            .hidden = options.width.of(shape.dim),
            .bias = options.bias,
            .activation = options.act_layer,
            .norm = options.norm_layer}) {
  add_module("", mlp_);
}

Var SqueezeExcite::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  const Var gate = mlp_.forward(ctx, squeeze_tokens(ctx, x, options_.add_maxpool), options_.gate_layer);
  return gate_tokens(ctx, x, gate, input);
}

EffectiveSqueezeExcite::EffectiveSqueezeExcite(const AttentionShape& shape,
                                               const EffectiveSqueezeExciteOptions& options)
    : options_(options), fc_({.in_channels = shape.dim, .out_channels = shape.dim}) {
  add_module("fc", fc_);
}

Var EffectiveSqueezeExcite::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  const Var gate = fc_.forward(ctx, squeeze_tokens(ctx, x, options_.add_maxpool), options_.gate_layer);
  return gate_tokens(ctx, x, gate, input);
}

VITKIT_REGISTER_ATTENTION("squeeze_excite", SqueezeExcite, .family = AttentionFamily::channel,
                          .summary = "squeeze-and-excitation: each channel is scaled by what all channels' means say",
                          .formula = "x * sigmoid(W2 relu(W1 mean(x)))",
                          .source = "Hu et al. 2018, Squeeze-and-excitation networks, eq. 2-4",
                          .complexity = "O(N C + C^2 / r)", .equivariance = Equivariance::tokens, .smooth = false);

VITKIT_REGISTER_ATTENTION("effective_se", EffectiveSqueezeExcite, .family = AttentionFamily::channel,
                          .summary = "effective squeeze-and-excitation: one layer, so no channel is squeezed away",
                          .formula = "x * hard_sigmoid(W mean(x))", .source = "Lee, Park 2020, CenterMask, section 3.3",
                          .complexity = "O(N C + C^2)", .equivariance = Equivariance::tokens, .smooth = false);

}  // namespace vit
