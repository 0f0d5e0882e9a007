// ConvNorm: a convolution, the batch norm after it and an activation, which are one pass in inference: timm's
// ConvNormAct, and the repeating unit of residual networks.
#pragma once

#include <string>

#include "vit/nn/batch_norm.h"
#include "vit/nn/conv2d.h"

namespace vit {

struct ConvNormOptions {
  Conv2d::Options conv{};                            ///< without a bias where nothing is said: the norm has one
  std::string conv_name = "conv", norm_name = "bn";  ///< of their parameters, under the module's own name
  BatchNormOptions norm{};
  bool frozen = false;     ///< see BatchNorm::freeze
  bool zero_init = false;  ///< see BatchNorm::start_at_zero
};

/// A convolution without a bias, as most have it before a norm.
inline Conv2d::Options unbiased(int64_t in_channels, int64_t out_channels, const Conv2dOptions& conv = {}) {
  return {.in_channels = in_channels, .out_channels = out_channels, .conv = conv, .bias = false};
}

class ConvNorm : public Module {
 public:
  /// Parameters: those of the convolution and of the norm, by their names.
  explicit ConvNorm(const ConvNormOptions& options);

  /// activation(norm(conv(x))): shapes as Conv2d::forward.
  Var forward(Context& ctx, const Var& x, Activation activation = Activation::none) const;

  /// activation(norm(conv(x)) + residual): the end of a residual block (He et al. 2016, eq. 1). In inference the
  /// residual's memory becomes the result's where nobody else holds it: hand it over.
  Var forward_add(Context& ctx, const Var& x, Var residual, Activation activation) const;

  /// Folds the norm into the convolution and packs that.
  void prepare() override;

 private:
  Conv2d conv_;
  BatchNorm norm_;
  bool folded_ = false;
};

}  // namespace vit
