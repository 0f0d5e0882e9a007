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

}  // namespace detection
