#include "detection/model.h"

namespace detection {

vit::Var DetectionModel::forward(vit::Context& ctx, const vit::Var& images) const {
  return detect(ctx, {.images = images}).levels.back().logits;
}

}  // namespace detection
