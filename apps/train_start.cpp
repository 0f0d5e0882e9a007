#include "apps/train_start.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "vit/models/build.h"
#include "vit/models/labels.h"
#include "vit/predictor.h"

namespace apps {

namespace {

/// The checkpoint's model, for images of that size where it can take them: position tables are resampled then.
std::unique_ptr<vit::ImageModel> load_source(const vit::Checkpoint& checkpoint, const std::array<int64_t, 2>& size) {
  const vit::LoadModelOptions options{.input_size = {}, .seed = 0, .purpose = vit::Purpose::training};
  auto source = vit::load_model(checkpoint, options);
  if (source->info().input_size == size) return source;
  try {
    source->set_input_size(size[0], size[1]);
    return source;
  } catch (const vit::Error& error) {
    if (error.kind() != vit::ErrorKind::kUsage) throw;
    return vit::load_model(checkpoint, options);  // tables that do not fit are left out
  }
}

/// Gives `model` the values of every parameter of the checkpoint that has its name (behind "backbone." where the
/// checkpoint is a whole image model) and shape; says what became of it.
std::string take_weights(vit::ImageModel& model, const std::string& name) {
  const vit::Checkpoint checkpoint = vit::Checkpoint::open(name);
  if (!checkpoint.has_weights()) vit::fail_usage("init_from: ", name, " has no weights");
  const auto source = load_source(checkpoint, model.info().input_size);
  std::map<std::string, vit::Tensor> offered;
  source->visit_parameters(
      [&](const std::string& path, vit::Parameter& parameter) { offered[path] = parameter.value.value(); });
  int64_t taken = 0, all = 0;
  constexpr std::string_view kBackbone = "backbone.";
  model.visit_parameters([&](const std::string& path, vit::Parameter& parameter) {
    ++all;
    auto found = offered.find(path);
    if (found == offered.end() && path.starts_with(kBackbone)) found = offered.find(path.substr(kBackbone.size()));
    if (found == offered.end() || !(found->second.shape() == parameter.shape)) return;
    parameter.value = found->second;
    ++taken;
  });
  if (taken == 0) vit::fail_usage("init_from: no weight of ", name, " has the name and shape of one of this model");
  return fmt::format("{} of {} tensors from {}", taken, all, name);
}

}  // namespace

TrainStart load_start(const TrainConfig& config) {
  const auto seed = static_cast<uint64_t>(config.trainer.seed);
  if (config.model.is_map()) {
    TrainStart start{vit::build_model(config.model, "vitkit"), {}};
    vit::initialise_parameters(*start.model, seed, vit::Purpose::training);
    if (!config.init_from.empty()) start.from = take_weights(*start.model, config.init_from);
    return start;
  }
  TrainStart start{nullptr, vit::Checkpoint::open(config.model.text())};
  start.model = vit::load_model(*start.checkpoint, {.input_size = {}, .seed = seed, .purpose = vit::Purpose::training});
  if (config.init_from.empty()) return start;
  if (start.has_weights())
    vit::fail_usage("init_from: ", config.model.text(),
                    " is a checkpoint with weights of its own; give `model` as a configuration or a map");
  start.from = take_weights(*start.model, config.init_from);
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
