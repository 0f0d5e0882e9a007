#include "vit/nn/norm.h"

namespace vit {

const std::vector<std::pair<NormKind, std::string>>& enum_names(NormKind) {
  static const std::vector<std::pair<NormKind, std::string>> names = {
      {NormKind::identity, "none"}, {NormKind::layer_norm, "layernorm"}, {NormKind::rms_norm, "rmsnorm"}};
  return names;
}

Norm::Norm(NormKind kind, int64_t channels, float eps) : kind_(kind), channels_(channels), eps_(eps) {
  if (kind == NormKind::identity) return;
  add_parameter("weight", weight_, {channels}, Init::ones());
  if (kind == NormKind::layer_norm) add_parameter("bias", bias_, {channels}, Init::zeros());
}

Var Norm::forward(Context& ctx, const Var& x) const {
  switch (kind_) {
    case NormKind::layer_norm:
      return layer_norm(ctx, x, weight_.value, bias_.value, eps_);
    case NormKind::rms_norm:
      return rms_norm(ctx, x, weight_.value, eps_);
    case NormKind::identity:
      return x;
  }
  fail("norm: invalid kind");
}

Var Norm::forward_heads(Context& ctx, const HeadColumns& columns, int64_t heads) const {
  if (kind_ == NormKind::identity) return columns.tokens;
  return head_norm(ctx, columns, heads, channels_, weight_.value, bias_.value, eps_, kind_ == NormKind::rms_norm);
}

}  // namespace vit
