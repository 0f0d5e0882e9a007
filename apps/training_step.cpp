#include "apps/training_step.h"

#include <map>
#include <string>

#include "detection/detection_task.h"
#include "vit/autograd/tape.h"
#include "vit/core/check.h"
#include "vit/core/rng.h"
#include "vit/models/model.h"
#include "vit/train/classification.h"

namespace apps {

namespace {

constexpr int64_t kBoxesPerPicture = 8;

/// Boxes anywhere in the picture, up to half as long as it.
vit::BoxTargets random_boxes(int64_t classes, vit::Rng& rng) {
  vit::BoxTargets targets{vit::Tensor::empty({kBoxesPerPicture, 4}),
                          vit::Tensor::empty({kBoxesPerPicture}, vit::DType::i64)};
  for (int64_t i = 0; i < kBoxesPerPicture; ++i) {
    float* box = targets.boxes.f32() + 4 * i;
    for (int64_t axis = 0; axis < 2; ++axis) {
      const float extent = 0.05f + 0.45f * rng.uniform();
      box[axis] = 0.5f * extent + (1.0f - extent) * rng.uniform();
      box[2 + axis] = extent;
    }
    targets.labels.data<int64_t>()[i] = static_cast<int64_t>(rng.next_u32()) % classes;
  }
  return targets;
}

}  // namespace

TrainingStep::TrainingStep(vit::ImageModel& model, const vit::Tensor& images, uint64_t seed) {
  const int64_t classes = model.info().num_classes;
  if (classes < 1) vit::fail_usage("--train: the model has no classes to learn (num_classes is 0)");
  vit::Rng rng(seed, vit::Rng::stream_of("benchmark.labels"));
  batch_.images = images;
  if (auto* const detector = dynamic_cast<detection::DetectionModel*>(&model)) {
    for (int64_t b = 0; b < images.size(0); ++b) batch_.boxes.push_back(random_boxes(classes, rng));
    task_ = std::make_unique<detection::DetectionTask>(*detector, detection::default_criterion(detector->class_loss()),
                                                       detection::DetectionValidation{},
                                                       std::map<std::string, std::string>{});
  } else {
    batch_.targets = vit::Tensor::empty({images.size(0)}, vit::DType::i64);
    for (int64_t& label : batch_.targets.span<int64_t>()) label = static_cast<int64_t>(rng.next_u32()) % classes;
    task_ = std::make_unique<vit::ClassificationTask>(model, vit::ClassificationLossConfig{}, nullptr,
                                                      std::map<std::string, std::string>{});
  }
  model.visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    if (parameter.buffer) return;
    parameter.value = vit::Var::leaf(parameter.value.value());
    leaves_.emplace_back(name, parameter.value);
  });
  const vit::OptimizerConfig config;
  optimizer_ = vit::make_optimizer(config, parameters(), vit::plan_param_groups(parameters(), config));
}

void TrainingStep::run(vit::Context& ctx) {
  constexpr double kRate = 1e-3;
  ctx.training = true;
  vit::Tape tape(ctx);
  ctx.tape = &tape;
  const vit::Var loss = task_->loss(ctx, batch_);
  ctx.tape = nullptr;
  tape.backward(loss);
  const vit::StageTimer timer(ctx.profile, "optimizer");
  optimizer_->step(parameters(), kRate);
  for (const auto& [name, leaf] : leaves_) leaf.clear_grad();
}

std::vector<vit::NamedParameter> TrainingStep::parameters() const {
  std::vector<vit::NamedParameter> list;
  for (const auto& [name, leaf] : leaves_) list.push_back({name, leaf.value(), leaf.grad()});
  return list;
}

}  // namespace apps
