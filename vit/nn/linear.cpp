#include "vit/nn/linear.h"

namespace vit {

Linear::Linear(int64_t in_features, int64_t out_features, bool bias, Init weight_init) {
  add_parameter("weight", weight_, {out_features, in_features}, weight_init);
  if (bias) add_parameter("bias", bias_, {out_features}, Init::zeros());
}

Var Linear::forward(Context& ctx, const Var& x, const LinearOptions& options) const {
  return linear(ctx, x, {weight_.value, packed_}, bias_.value, options);
}

void Linear::prepare() {
  packed_ = PackedWeight::pack(weight_.value.value());
  weight_.value = {};
}

}  // namespace vit
