// Linear: y = x W^T + b with fused epilogues. timm's and torch's nn.Linear.
#pragma once

#include "vit/autograd/ops.h"
#include "vit/nn/module.h"

namespace vit {

class Linear : public Module {
 public:
  /// weight [out_features, in_features], bias [out_features].
  Linear(int64_t in_features, int64_t out_features, bool bias = true, Init weight_init = Init::truncated_normal(0.02f));

  /// x [..., in_features] -> [..., out_features]
  Var forward(Context& ctx, const Var& x, const LinearOptions& options = {}) const;

  /// Packs the weight and drops the plain one.
  void prepare() override;

 private:
  Parameter weight_, bias_;
  PackedWeight packed_;
};

}  // namespace vit
