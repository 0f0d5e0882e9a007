// CBAM, the convolutional block attention module (Woo et al. 2018), and timm's light form of it.
#pragma once

#include "vit/autograd/names.h"
#include "vit/nn/squeeze.h"

namespace vit {

struct CbamOptions {
  SqueezeWidth width{.rd_divisor = 1};
  int64_t spatial_kernel_size = 7;
  Activation act_layer = Activation::relu;
  Activation gate_layer = Activation::sigmoid;
  bool mlp_bias = false;

  template <class V>
  void visit_fields(V& v) {
    width.visit_fields(v);
    v("spatial_kernel_size", spatial_kernel_size, "Side of the convolution over positions, odd.", between(1, 63));
    v("act_layer", act_layer, "Activation between the layers of the channel gate.");
    v("gate_layer", gate_layer, "Activation of the gates (the light form's is the sigmoid).");
    v("mlp_bias", mlp_bias, "Biases of the channel gate's layers.");
  }
  /// Errors (usage): an even kernel.
  void validate() const;
};

class Cbam : public Attention {
 public:
  using Options = CbamOptions;
  /// Parameters: channel.fc1.*, channel.fc2.*, spatial.conv.conv.weight, spatial.conv.bn.*.
  Cbam(const AttentionShape& shape, const CbamOptions& options) : Cbam(shape, options, false) {}
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 protected:
  Cbam(const AttentionShape& shape, const CbamOptions& options, bool light);

 private:
  Var channel_gate(Context& ctx, const Var& x) const;
  Var spatial_gate(Context& ctx, const Var& x, const Grid& grid) const;

  CbamOptions options_;
  bool light_;
  SqueezeMlp channel_;
  ConvNorm spatial_;
};

/// Mean and maximum are added up before the layers, for channels and for positions.
class LightCbam : public Cbam {
 public:
  LightCbam(const AttentionShape& shape, const CbamOptions& options) : Cbam(shape, options, true) {}
};

}  // namespace vit
