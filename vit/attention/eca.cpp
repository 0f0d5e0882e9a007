#include "vit/attention/eca.h"

#include <algorithm>
#include <cmath>

#include "vit/autograd/map_ops.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

void EcaOptions::validate() const {
  if (kernel_size && *kernel_size % 2 == 0) fail_usage("kernel_size ", *kernel_size, " must be odd");
  if (use_mlp && circular) fail_usage("use_mlp and circular do not go together");
}

int64_t EcaOptions::kernel_for(int64_t channels) const {
  if (kernel_size) return *kernel_size;
  const double length = std::abs(std::log2(static_cast<double>(channels)) + beta) / gamma;
  const auto size = static_cast<int64_t>(std::min(length, static_cast<double>(kMaxKernel)));
  return std::max<int64_t>(3, size % 2 == 1 ? size : size + 1);
}

SequenceConv::SequenceConv(int64_t inputs, int64_t outputs, int64_t kernel, bool bias) {
  const float bound = 1.0f / std::sqrt(static_cast<float>(inputs * kernel));  // torch's default
  add_parameter("weight", weight_, {outputs, inputs, kernel}, Init::uniform(bound));
  if (bias) add_parameter("bias", bias_, {outputs}, Init::uniform(bound));
}

Var SequenceConv::taps(Context& ctx) const {
  const Shape& shape = weight_.shape;
  return taps_outermost(ctx, reshape(ctx, weight_.value, {shape[0], shape[1], 1, shape[2]}));
}

Var SequenceConv::forward(Context& ctx, const Var& x, Activation activation) const {
  const Var weight = packed_.defined() ? Var() : taps(ctx);
  const Var y = conv2d(ctx, reshape(ctx, x, {x.size(0), 1, x.size(1), x.size(2)}), {weight, packed_}, bias_.value,
                       {.kernel_w = weight_.shape[2], .activation = activation});
  return reshape(ctx, y, {y.size(0), y.size(2), y.size(3)});
}

void SequenceConv::prepare() {
  Context ctx;
  packed_ = PackedWeight::pack_convolution(taps(ctx).value(), 1, weight_.shape[2]);
  weight_.value = {};
}

Eca::Eca(const AttentionShape& shape, const EcaOptions& options)
    : options_(options),
      kernel_(options.kernel_for(shape.dim)),
      conv_(1, options.use_mlp ? options.width.of(shape.dim) : 1, options.use_mlp ? 1 : kernel_, options.use_mlp) {
  options.validate();
  if (options.circular && kernel_ / 2 > shape.dim)
    fail_usage("eca: a circular kernel of ", kernel_, " is too long for ", shape.dim, " channels; set a kernel_size");
  add_module("conv", conv_);
  if (options.use_mlp) add_module("conv2", conv2_.emplace(options.width.of(shape.dim), 1, kernel_, true));
}

Var Eca::with_borders(Context& ctx, const Var& x) const {
  const int64_t count = x.size(1), side = kernel_ / 2;
  if (side == 0) return x;
  if (options_.circular)
    return concat(ctx, {slice_tokens(ctx, x, count - side, count), x, slice_tokens(ctx, x, 0, side)}, 1);
  const Var map = reshape(ctx, x, {x.size(0), 1, count, x.size(2)});
  return reshape(ctx, pad_map(ctx, map, {.left = side, .right = side}), {x.size(0), count + 2 * side, x.size(2)});
}

Var Eca::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  // The channels' means are a sequence of single features.
  const Var means = reshape(ctx, squeeze_tokens(ctx, x, false), {x.size(0), x.size(2), 1});
  const Var gate = conv2_ ? conv2_->forward(ctx, with_borders(ctx, conv_.forward(ctx, means, options_.act_layer)),
                                            options_.gate_layer)
                          : conv_.forward(ctx, with_borders(ctx, means), options_.gate_layer);
  return gate_tokens(ctx, x, reshape(ctx, gate, {x.size(0), x.size(2)}), input);
}

VITKIT_REGISTER_ATTENTION("eca", Eca, .family = AttentionFamily::channel,
                          .summary = "efficient channel attention: each channel is scaled by its neighbours' means",
                          .formula = "x * sigmoid(conv1d_k(mean(x))), k = |log2(C) + 1| / 2, odd",
                          .source = "Wang et al. 2020, ECA-Net, eq. 9 and 12", .complexity = "O(N C)",
                          .equivariance = Equivariance::tokens);

}  // namespace vit
