#include "detection/model.h"

namespace detection {

vit::Var DetectionModel::forward(vit::Context& ctx, const vit::Var& images) const {
  return detect(ctx, {.images = images}).levels.back().logits;
}

std::vector<std::string> DetectionModel::reference_inputs() const { return {"pixel_mask", "post.target_sizes"}; }

}  // namespace detection
