#include "apps/train_start.h"

#include <fmt/format.h>

#include <algorithm>

#include "vit/models/build.h"
#include "vit/models/labels.h"
#include "vit/predictor.h"

namespace apps {

TrainStart load_start(const TrainConfig& config) {
  const auto seed = static_cast<uint64_t>(config.trainer.seed);
  if (config.model.is_map()) {
    TrainStart start{vit::build_model(config.model, "vitkit"), {}};
    vit::initialise_parameters(*start.model, seed, vit::Purpose::training);
    return start;
  }
  TrainStart start{nullptr, vit::Checkpoint::open(config.model.text())};
  start.model = vit::load_model(*start.checkpoint, {.input_size = {}, .seed = seed, .purpose = vit::Purpose::training});
  return start;
}

std::string fit_head(TrainStart& start, const datasets::TrainingData& data, int64_t seed) {
  vit::ImageModel& model = *start.model;
  const auto classes = static_cast<int64_t>(data.class_names.size());
  bool same = model.info().num_classes == classes;
  if (same && start.has_weights()) {
    // As many classes are not the same classes: ImageNet's first ten folders are no digits.
    const vit::ClassLabels labels = vit::load_labels(*start.checkpoint, model);
    for (int64_t i = 0; same && labels.source() != vit::LabelSource::numbers && i < classes; ++i)
      same = labels.name(i) == data.class_names[static_cast<size_t>(i)];
  }
  if (same) return "";
  const std::vector<std::string> names = model.replace_head(classes);
  model.visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    if (std::find(names.begin(), names.end(), name) != names.end())
      vit::initialise_parameter(name, parameter, static_cast<uint64_t>(seed));
  });
  return fmt::format("a new head for {} classes", classes);
}

}  // namespace apps
