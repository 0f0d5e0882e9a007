// Norm: the normalisation layers of transformers behind one type, chosen by configuration.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "vit/autograd/ops.h"
#include "vit/nn/module.h"

namespace vit {

enum class NormKind {
  layer_norm,  ///< weight and bias
  rms_norm,    ///< weight only
  identity,    ///< nothing: where a model may or may not normalise
};

/// "none", "layernorm", "rmsnorm": timm's norm_layer names, for configurations.
const std::vector<std::pair<NormKind, std::string>>& enum_names(NormKind);

class Norm : public Module {
 public:
  Norm(NormKind kind, int64_t channels, float eps);
  /// x [..., C] -> [..., C]
  Var forward(Context& ctx, const Var& x) const;
  /// Normalises each head of `columns` in place (qk-norm); C is the head dimension.
  Var forward_heads(Context& ctx, const HeadColumns& columns, int64_t heads) const;

 private:
  NormKind kind_;
  int64_t channels_;
  float eps_;
  Parameter weight_, bias_;
};

}  // namespace vit
