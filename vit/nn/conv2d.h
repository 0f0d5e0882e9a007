// Conv2d: a 2-d convolution of maps [B, height, width, c]. timm's and torch's nn.Conv2d.
#pragma once

#include "vit/autograd/ops.h"
#include "vit/nn/module.h"

namespace vit {

class Conv2d : public Module {
 public:
  struct Options {
    int64_t in_channels = 0, out_channels = 0;
    Conv2dOptions conv{};  ///< kernel, stride, padding, dilation, groups
    bool bias = true;
    bool torch_init = false;  ///< the weight starts as torch's own convolution: uniform within 1 / sqrt(fan_in)
  };
  /// weight [out_channels, in_channels / groups, kernel_h, kernel_w] as in checkpoints, bias [out_channels]; the weight
  /// starts normal with std sqrt(2 / fan_out) (He et al. 2015), unless torch_init is set. Errors (usage): groups does
  /// not divide the channels.
  explicit Conv2d(const Options& options);

  /// x [B, height, width, in_channels] -> [B, height', width', out_channels]; where the convolution is a linear map of
  /// each position (1 x 1, stride 1) any [..., in_channels] -> [..., out_channels].
  Var forward(Context& ctx, const Var& x, Activation activation = Activation::none) const;
  /// The same, with what follows fused where nothing is recorded: residual + gamma * activation(conv(x)).
  Var forward(Context& ctx, const Var& x, LinearOptions epilogue) const;

  /// Makes y * scale + shift the convolution's result, a factor and a term per output channel: a batch norm after it.
  /// Errors: the weight is not loaded, or packed already.
  void fold(const Tensor& scale, const Tensor& shift);

  void prepare() override;

 private:
  bool pointwise() const;

  Options options_;
  Parameter weight_, bias_;
  PackedWeight packed_;
};

}  // namespace vit
