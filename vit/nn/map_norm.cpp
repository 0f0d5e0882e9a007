#include "vit/nn/map_norm.h"

namespace vit {

const std::vector<std::pair<MapNormKind, std::string>>& enum_names(MapNormKind) {
  static const std::vector<std::pair<MapNormKind, std::string>> names = {{MapNormKind::layer_norm, "layernorm"},
                                                                         {MapNormKind::batch_norm, "batchnorm"}};
  return names;
}

MapNorm::MapNorm(MapNormKind kind, int64_t channels, float eps) {
  if (kind == MapNormKind::batch_norm)
    add_module("", batch_norm_.emplace(channels, BatchNormOptions{.eps = eps}));
  else
    add_module("", layer_norm_.emplace(NormKind::layer_norm, channels, eps));
}

Var MapNorm::forward(Context& ctx, const Var& x) const {
  return batch_norm_ ? batch_norm_->forward(ctx, x) : layer_norm_->forward(ctx, x);
}

}  // namespace vit
