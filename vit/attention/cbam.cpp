#include "vit/attention/cbam.h"

#include "vit/autograd/tensor_ops.h"

namespace vit {

void CbamOptions::validate() const {
  if (spatial_kernel_size % 2 == 0) fail_usage("spatial_kernel_size ", spatial_kernel_size, " must be odd");
}

namespace {

ConvNormOptions spatial_conv(int64_t kernel, bool light) {
  const Conv2dOptions conv{.kernel_h = kernel, .kernel_w = kernel, .padding = kernel / 2};
  return {.conv = unbiased(light ? 1 : 2, 1, conv)};
}

}  // namespace

Cbam::Cbam(const AttentionShape& shape, const CbamOptions& options, bool light)
    : options_(options),
      light_(light),
      channel_({.dim = shape.dim,
                .hidden = options.width.of(shape.dim),
                .bias = options.mlp_bias,
                .activation = options.act_layer}),
      spatial_(spatial_conv(options.spatial_kernel_size, light)) {
  options.validate();
  add_module("channel", channel_);
  add_module("spatial.conv", spatial_);
}

Var Cbam::channel_gate(Context& ctx, const Var& x) const {
  if (light_) return channel_.forward(ctx, squeeze_tokens(ctx, x, /*add_maxpool=*/true), Activation::sigmoid);
  // The maximum's gradient is shared between equals, as torch.amax has it.
  const Var mean = channel_.forward(ctx, squeeze_tokens(ctx, x, false));
  return activate(ctx, add(ctx, mean, channel_.forward(ctx, amax(ctx, x, {1}))), options_.gate_layer);
}

Var Cbam::spatial_gate(Context& ctx, const Var& x, const Grid& grid) const {
  const Var means = mean(ctx, x, {2}, true), maxima = amax(ctx, x, {2}, true);
  const Var pooled = light_ ? average(ctx, means, maxima) : concat(ctx, {means, maxima}, 2);
  const Var map = reshape(ctx, pooled, {x.size(0), grid.height, grid.width, pooled.size(2)});
  const Var gate = activate(ctx, spatial_.forward(ctx, map), light_ ? Activation::sigmoid : options_.gate_layer);
  return reshape(ctx, gate, {x.size(0), x.size(1), 1});
}

Var Cbam::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  check(input.grid.count() == x.size(1), "cbam: ", x.shape(), " is no grid of ", input.grid.height, " x ",
        input.grid.width);
  const Var gated = gate_tokens(ctx, x, channel_gate(ctx, x), {});
  const Var gate = spatial_gate(ctx, gated, input.grid);
  ctx.observe("spatial_probs", gate.value());
  Var y = multiply(ctx, gated, gate);
  if (input.wanted_tokens > 0) y = slice_tokens(ctx, y, 0, input.wanted_tokens);
  return with_residual(ctx, y, input.residual);
}

VITKIT_REGISTER_ATTENTION(
    "cbam", Cbam, .family = AttentionFamily::channel,
    .summary = "convolutional block attention: a gate on channels, then one on positions",
    .formula = "y = x * sigmoid(MLP(mean(x)) + MLP(max(x))); y * sigmoid(conv([mean_c(y), max_c(y)]))",
    .source = "Woo et al. 2018, CBAM, eq. 2-3", .complexity = "O(N C + N k^2)", .needs_grid = true,
    .takes_prefix = false, .smooth = false);

VITKIT_REGISTER_ATTENTION(
    "light_cbam", LightCbam, .family = AttentionFamily::channel,
    .summary = "CBAM with mean and maximum added up before its layers",
    .formula = "y = x * sigmoid(MLP((mean(x) + max(x)) / 2)); y * sigmoid(conv((mean_c(y) + max_c(y)) / 2))",
    .source = "timm's LightCbamModule, after Woo et al. 2018", .complexity = "O(N C + N k^2)", .needs_grid = true,
    .takes_prefix = false, .smooth = false);

}  // namespace vit
