// Squeeze-and-excitation (Hu et al. 2018) with timm's options, and its effective form (Lee, Park 2020).
#pragma once

#include <optional>

#include "vit/autograd/names.h"
#include "vit/nn/squeeze.h"

namespace vit {

struct SqueezeExciteOptions {
  SqueezeWidth width{};
  bool add_maxpool = false;
  bool bias = true;
  Activation act_layer = Activation::relu;
  SqueezeNorm norm_layer = SqueezeNorm::none;
  Activation gate_layer = Activation::sigmoid;

  template <class V>
  void visit_fields(V& v) {
    width.visit_fields(v);
    v("add_maxpool", add_maxpool, "Squeezes to half the mean and half the maximum instead of the mean.");
    v("bias", bias, "Biases of both layers.");
    v("act_layer", act_layer, "Activation between the layers.");
    v("norm_layer", norm_layer, "Norm between the layers.");
    v("gate_layer", gate_layer, "Activation of the gate.");
  }
};

class SqueezeExcite : public Attention {
 public:
  using Options = SqueezeExciteOptions;
  SqueezeExcite(const AttentionShape& shape, const SqueezeExciteOptions& options);
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 private:
  SqueezeExciteOptions options_;
  SqueezeMlp mlp_;
};

struct EffectiveSqueezeExciteOptions {
  bool add_maxpool = false;
  Activation gate_layer = Activation::hard_sigmoid;

  template <class V>
  void visit_fields(V& v) {
    v("add_maxpool", add_maxpool, "Squeezes to half the mean and half the maximum instead of the mean.");
    v("gate_layer", gate_layer, "Activation of the gate.");
  }
};

class EffectiveSqueezeExcite : public Attention {
 public:
  using Options = EffectiveSqueezeExciteOptions;
  EffectiveSqueezeExcite(const AttentionShape& shape, const EffectiveSqueezeExciteOptions& options);
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 private:
  EffectiveSqueezeExciteOptions options_;
  Conv2d fc_;
};

}  // namespace vit
