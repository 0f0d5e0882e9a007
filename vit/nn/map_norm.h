// MapNorm: the norms of maps whose channels are last, behind one type: timm's norm_layer of hybrid models.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/nn/batch_norm.h"
#include "vit/nn/norm.h"

namespace vit {

enum class MapNormKind {
  layer_norm,  ///< over the channels of each position: timm's LayerNorm2d
  batch_norm,  ///< over the batch, with running statistics
};
/// "layernorm", "batchnorm".
const std::vector<std::pair<MapNormKind, std::string>>& enum_names(MapNormKind);

class MapNorm : public Module {
 public:
  /// Parameters: those of Norm or BatchNorm, under the module's own name.
  MapNorm(MapNormKind kind, int64_t channels, float eps);
  /// x [..., channels] -> the same shape
  Var forward(Context& ctx, const Var& x) const;

 private:
  std::optional<Norm> layer_norm_;  // one of the two
  std::optional<BatchNorm> batch_norm_;
};

}  // namespace vit
