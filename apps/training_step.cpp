#include "apps/training_step.h"

#include "vit/autograd/losses.h"
#include "vit/autograd/tape.h"
#include "vit/core/check.h"
#include "vit/core/rng.h"
#include "vit/models/model.h"

namespace apps {

TrainingStep::TrainingStep(vit::ImageModel& model, const vit::Tensor& images, uint64_t seed)
    : model_(model), images_(images), labels_(vit::Tensor::empty({images.size(0)}, vit::DType::i64)) {
  const int64_t classes = model.info().num_classes;
  if (classes < 1) vit::fail_usage("--train: the model has no classes to learn (num_classes is 0)");
  vit::Rng rng(seed, vit::Rng::stream_of("benchmark.labels"));
  for (int64_t& label : labels_.span<int64_t>()) label = static_cast<int64_t>(rng.next_u32()) % classes;
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
  const vit::Var loss = vit::cross_entropy(ctx, model_.forward(ctx, images_), labels_);
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
