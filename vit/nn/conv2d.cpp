#include "vit/nn/conv2d.h"

#include <cmath>
#include <utility>

namespace vit {

Conv2d::Conv2d(const Options& options) : options_(options) {
  const Conv2dOptions& conv = options.conv;
  if (conv.groups < 1 || options.in_channels % conv.groups != 0 || options.out_channels % conv.groups != 0)
    fail_usage("convolution: ", options.in_channels, " -> ", options.out_channels, " channels cannot be divided into ",
               conv.groups, " groups");
  const int64_t taps = conv.kernel_h * conv.kernel_w;
  const int64_t outputs = options.out_channels / conv.groups, inputs = options.in_channels / conv.groups;
  const auto fan_out = static_cast<float>(outputs * taps), fan_in = static_cast<float>(inputs * taps);
  add_parameter("weight", weight_,
                {options.out_channels, options.in_channels / conv.groups, conv.kernel_h, conv.kernel_w},
                options.torch_init ? Init::uniform(1.0f / std::sqrt(fan_in)) : Init::normal(std::sqrt(2.0f / fan_out)));
  if (options.bias) add_parameter("bias", bias_, {options.out_channels}, Init::zeros());
}

Var Conv2d::forward(Context& ctx, const Var& x, Activation activation) const {
  return forward(ctx, x, LinearOptions{.activation = activation});
}

Var Conv2d::forward(Context& ctx, const Var& x, LinearOptions epilogue) const {
  if (pointwise()) {
    const Var rows =
        packed_.defined() ? Var() : reshape(ctx, weight_.value, {options_.out_channels, options_.in_channels});
    return linear(ctx, x, {rows, packed_}, bias_.value, epilogue);
  }
  Conv2dOptions conv = options_.conv;
  conv.activation = epilogue.activation;
  conv.gamma = std::move(epilogue.gamma);
  conv.residual = std::move(epilogue.residual);
  conv.residual_first = epilogue.residual_first;
  conv.overwrite_residual = epilogue.overwrite_residual;
  const Var taps = packed_.defined() ? Var() : taps_outermost(ctx, weight_.value);
  return conv2d(ctx, x, {taps, packed_}, bias_.value, conv);
}

bool Conv2d::pointwise() const {
  const Conv2dOptions& conv = options_.conv;
  return conv.kernel_h == 1 && conv.kernel_w == 1 && conv.stride == 1 && conv.padding == 0 && conv.groups == 1;
}

void Conv2d::fold(const Tensor& scale, const Tensor& shift) {
  check(weight_.value.defined(), "conv2d: the weight is not loaded");
  Tensor weight = weight_.value.value().clone(), bias = shift.clone();
  const int64_t inputs = weight.numel() / options_.out_channels;
  for (int64_t f = 0; f < options_.out_channels; ++f) {
    const float factor = scale.f32()[f];
    for (float* w = weight.f32() + f * inputs; w < weight.f32() + (f + 1) * inputs; ++w) *w *= factor;
    if (bias_.value.defined()) bias.f32()[f] += factor * bias_.value.value().f32()[f];
  }
  weight_.value = std::move(weight);
  bias_.value = std::move(bias);
}

void Conv2d::prepare() {
  Context ctx;
  packed_ = pack_conv2d(taps_outermost(ctx, weight_.value.value()).value(), options_.conv);
  weight_.value = {};
}

}  // namespace vit
