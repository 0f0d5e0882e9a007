#include "vit/nn/squeeze.h"

#include <algorithm>

#include "vit/autograd/gate_ops.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

int64_t make_divisible(double value, int64_t divisor, double round_limit) {
  const auto nearest = static_cast<int64_t>(value + static_cast<double>(divisor) / 2.0) / divisor * divisor;
  const int64_t rounded = std::max(divisor, nearest);
  return static_cast<double>(rounded) < round_limit * value ? rounded + divisor : rounded;
}

int64_t SqueezeWidth::of(int64_t channels) const {
  return rd_channels ? *rd_channels : make_divisible(static_cast<double>(channels) * rd_ratio, rd_divisor, round_limit);
}

const std::vector<std::pair<SqueezeNorm, std::string>>& enum_names(SqueezeNorm) {
  static const std::vector<std::pair<SqueezeNorm, std::string>> names = {
      {SqueezeNorm::none, "none"}, {SqueezeNorm::layer_norm, "layernorm"}, {SqueezeNorm::batch_norm, "batchnorm"}};
  return names;
}

namespace {

constexpr float kLayerNormEps = 1e-6f;  // timm's LayerNorm2d

Conv2d::Options pointwise(int64_t inputs, int64_t outputs, bool bias) {
  return {.in_channels = inputs, .out_channels = outputs, .bias = bias};
}

}  // namespace

SqueezeMlp::SqueezeMlp(const Options& options)
    : options_(options),
      norm_(options.norm == SqueezeNorm::layer_norm ? NormKind::layer_norm : NormKind::identity, options.hidden,
            kLayerNormEps),
      fc2_(pointwise(options.hidden, options.dim, options.bias)) {
  const Conv2d::Options first = pointwise(options.dim, options.hidden, options.bias);
  if (options.norm == SqueezeNorm::batch_norm)
    add_module("", fc1_bn_.emplace(ConvNormOptions{.conv = first, .conv_name = "fc1"}));
  else
    add_module("fc1", fc1_.emplace(first));
  add_module("norm", norm_);
  add_module("fc2", fc2_);
}

Var SqueezeMlp::forward(Context& ctx, const Var& x, Activation gate) const {
  const Activation act = options_.activation;
  if (fc1_bn_) return fc2_.forward(ctx, fc1_bn_->forward(ctx, x, act), gate);
  if (options_.norm == SqueezeNorm::none) return fc2_.forward(ctx, fc1_->forward(ctx, x, act), gate);
  return fc2_.forward(ctx, activate(ctx, norm_.forward(ctx, fc1_->forward(ctx, x)), act), gate);
}

Var squeeze_tokens(Context& ctx, const Var& x, bool add_maxpool) {
  const Var mean = reduce_tokens(ctx, x, 0, Reduction::mean);
  // The maximum's gradient is shared between equals, as torch.amax has it.
  return add_maxpool ? average(ctx, mean, amax(ctx, x, {1})) : mean;
}

Var gate_tokens(Context& ctx, const Var& x, const Var& gate, const AttentionInput& input) {
  ctx.observe("channel_probs", gate.value());
  if (ctx.wants("channel_values"))
    ctx.observe("channel_values", multiply(ctx, x, reshape(ctx, gate, {gate.size(0), 1, gate.size(1)})).value());
  const Var& gamma = input.residual.gamma;
  return gate_channels(ctx, input.wanted_tokens > 0 ? slice_tokens(ctx, x, 0, input.wanted_tokens) : x,
                       gamma.defined() ? scale_channels(ctx, gate, gamma) : gate, input.residual.residual);
}

}  // namespace vit
