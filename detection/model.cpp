#include "detection/model.h"

namespace detection {

const std::vector<std::pair<ClassLoss, std::string>>& enum_names(ClassLoss) {
  static const std::vector<std::pair<ClassLoss, std::string>> names = {
      {ClassLoss::cross_entropy, "cross_entropy"}, {ClassLoss::focal, "focal"}, {ClassLoss::varifocal, "varifocal"}};
  return names;
}

vit::Var DetectionModel::forward(vit::Context& ctx, const vit::Var& images) const {
  return detect(ctx, {.images = images}).levels.back().logits;
}

std::vector<std::string> DetectionModel::reference_inputs() const { return {"pixel_mask", "post.target_sizes"}; }

}  // namespace detection
