// One training step on random pictures: what `vitkit benchmark --train` times.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "vit/autograd/var.h"
#include "vit/core/context.h"
#include "vit/core/tensor.h"
#include "vit/train/batch.h"
#include "vit/train/optimizer.h"
#include "vit/train/param_group.h"
#include "vit/train/task.h"

namespace vit {
class ImageModel;
}

namespace apps {

class TrainingStep {
 public:
  /// `model` was loaded for training; images [B, channels, height, width] get random labels, a detector's random boxes.
  /// Errors (usage): a model without classes.
  TrainingStep(vit::ImageModel& model, const vit::Tensor& images, uint64_t seed);

  /// Forward, the loss of the kind of model, backward, AdamW.
  void run(vit::Context& ctx);

 private:
  std::vector<vit::NamedParameter> parameters() const;

  std::unique_ptr<vit::Task> task_;
  vit::Batch batch_;
  std::vector<std::pair<std::string, vit::Var>> leaves_;
  std::unique_ptr<vit::Optimizer> optimizer_;
};

}  // namespace apps
