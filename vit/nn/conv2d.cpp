#include "vit/nn/conv2d.h"

#include <cmath>

namespace vit {

Conv2d::Conv2d(const Options& options) : options_(options) {
  const Conv2dOptions& conv = options.conv;
  if (conv.groups < 1 || options.in_channels % conv.groups != 0 || options.out_channels % conv.groups != 0)
    fail_usage("convolution: ", options.in_channels, " -> ", options.out_channels, " channels cannot be divided into ",
               conv.groups, " groups");
  const auto fan_out = static_cast<float>(options.out_channels / conv.groups * conv.kernel_h * conv.kernel_w);
  add_parameter("weight", weight_,
                {options.out_channels, options.in_channels / conv.groups, conv.kernel_h, conv.kernel_w},
                Init::normal(std::sqrt(2.0f / fan_out)));
  if (options.bias) add_parameter("bias", bias_, {options.out_channels}, Init::zeros());
}

Var Conv2d::forward(Context& ctx, const Var& x, Activation activation) const {
  return forward(ctx, x, LinearOptions{.activation = activation});
}

Var Conv2d::forward(Context& ctx, const Var& x, const LinearOptions& epilogue) const {
  Conv2dOptions conv = options_.conv;
  conv.activation = epilogue.activation;
  conv.gamma = epilogue.gamma;
  conv.residual = epilogue.residual;
  const Var taps = packed_.defined() ? Var() : taps_outermost(ctx, weight_.value);
  return conv2d(ctx, x, {taps, packed_}, bias_.value, conv);
}

void Conv2d::prepare() {
  Context ctx;
  const Conv2dOptions& conv = options_.conv;
  packed_ = PackedWeight::pack_convolution(taps_outermost(ctx, weight_.value.value()).value(), conv.groups,
                                           conv.kernel_h * conv.kernel_w);
  weight_.value = {};
}

}  // namespace vit
