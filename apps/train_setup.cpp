#include "apps/train_setup.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/config_keys.h"
#include "apps/train_captioning.h"
#include "apps/train_detection.h"
#include "apps/train_kind.h"
#include "apps/train_start.h"
#include "datasets/class_descriptions.h"
#include "datasets/clip_transform.h"
#include "datasets/fingerprint.h"
#include "datasets/label_loader.h"
#include "vit/io/checkpoint.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/clip_model.h"
#include "vit/models/labels.h"
#include "vit/predictor.h"
#include "vit/train/param_group.h"

namespace apps {

namespace {

using Json = nlohmann::ordered_json;

template <class T>
void override_key(Json& into, const char* key, const std::optional<T>& value) {
  if (value) into[key] = *value;
}

TrainPixels choose_pixels(const TrainConfig& config, const TrainStart& start) {
  const std::array<int64_t, 2>& size = start.model->info().input_size;
  const bool overridden = config.mean || config.std || config.interpolation || config.crop_pct;
  // Sentences are about the whole picture.
  const bool whole = train_kind(*start.model) == TrainKind::captioner;
  Json pretrained = {{"input_size", {3, size[0], size[1]}},
                     {"interpolation", "bicubic"},
                     {"crop_pct", whole ? 1.0 : 0.9},
                     {"mean", {0.5, 0.5, 0.5}},
                     {"std", {0.5, 0.5, 0.5}}};
  if (start.has_weights()) {
    const nlohmann::json& json = start.checkpoint->config();
    if (json.contains("pretrained_cfg")) {
      for (const auto& [key, value] : json.at("pretrained_cfg").items())
        if (pretrained.contains(key) || key == "crop_mode") pretrained[key] = value;
    } else if (!overridden && config.img_size == 0 && json.contains("model_type")) {
      // Hugging Face's processors have steps of their own: theirs are kept as they are.
      TrainPixels pixels{
          vit::load_preprocessor(*start.checkpoint, *start.model), {{"model_type", json.at("model_type")}}, {}};
      if (const nlohmann::json* file = start.checkpoint->preprocessor())
        pixels.files["preprocessor_config.json"] = file->dump(2) + "\n";
      return pixels;
    }
  }
  if (start.has_weights() && !start.checkpoint->config().contains("pretrained_cfg")) {
    // Of Hugging Face's processors the numbers are kept, and timm's steps taken.
    const vit::ToFloat pixels = vit::load_preprocessor(*start.checkpoint, *start.model).to_float();
    if (pixels.normalize) {
      pretrained["mean"] = pixels.mean;
      pretrained["std"] = pixels.std;
    }
  }
  pretrained["input_size"] = {3, size[0], size[1]};
  override_key(pretrained, "mean", config.mean);
  override_key(pretrained, "std", config.std);
  override_key(pretrained, "interpolation", config.interpolation);
  override_key(pretrained, "crop_pct", config.crop_pct);
  TrainPixels pixels{vit::Preprocessor::from_timm(nlohmann::json(pretrained), "the run's pre-processing"),
                     {{"pretrained_cfg", pretrained}},
                     {}};
  return pixels;
}

std::string checkpoint_json(const vit::ImageModel& model, const Json& pixels, const datasets::TrainingData& data,
                            const std::string& data_dir) {
  Json json = {
      {"vitkit", {{"version", VITKIT_VERSION}, {"name", model.info().name}, {"model", config_json(model.describe())}}}};
  if (train_kind(model) == TrainKind::captioner) {
    json.update(pixels);
    return json.dump(2) + "\n";
  }
  json["num_classes"] = model.info().num_classes;
  json["label_names"] = data.class_names;
  // "FORMAT:PATH" and what is no folder have no file of names.
  const size_t colon = data_dir.find(':');
  std::filesystem::path root = colon == std::string::npos ? data_dir : data_dir.substr(colon + 1);
  std::error_code ignored;
  if (!std::filesystem::is_directory(root, ignored)) root.clear();
  const auto descriptions = datasets::class_descriptions(root, data.class_names);
  if (!descriptions.empty()) json["label_descriptions"] = descriptions;
  json.update(pixels);
  return json.dump(2) + "\n";
}

/// Head and adapters only: everything else is frozen, by name.
void freeze_all_but_head(TrainConfig& config, vit::ImageModel& model) {
  model.visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    if (!parameter.buffer && !vit::is_head_parameter(name) && !vit::is_lora_parameter(name))
      config.trainer.optimizer.freeze.push_back(name);
  });
}

datasets::TrainingData open_data(const TrainConfig& config, TrainKind kind) {
  datasets::DataConfig data = config.data;
  if (kind == TrainKind::captioner) {
    data.allow_empty_classes = true;  // of a set that has classes, too, only the captions count
    for (std::string* spec : {&data.data_dir, &data.val_data_dir})
      if (data.dataset.empty() && !spec->empty()) *spec = datasets::caption_spec(*spec);
  }
  try {
    return datasets::open_training_data(data, static_cast<uint64_t>(config.trainer.seed));
  } catch (const vit::Error& error) {
    throw vit::Error(std::string("data_dir ") + config.data.data_dir + ": " + error.what(), error.kind());
  }
}

/// Loaders of a classifier of clips.
void add_clip_loaders(TrainSetup& setup, const TrainConfig& config, int64_t frames) {
  datasets::require_mirrors_keep_classes(config.augment, setup.data.class_names);
  setup.make_train_loader = [data = setup.data.train, preprocessor = setup.preprocessor, augment = config.augment,
                             sampler = config.sampler, seed = static_cast<uint64_t>(config.trainer.seed),
                             frames](const datasets::LoaderConfig& loader) {
    return datasets::make_label_loader(*data, datasets::clip_train_transform(augment, preprocessor, frames), augment,
                                       sampler, loader, seed);
  };
  if (!setup.data.val) return;
  setup.val = datasets::make_label_loader(*setup.data.val, datasets::clip_eval_transform(setup.preprocessor, frames),
                                          config.loader);
}

/// Adapters, loaders and task of a classifier.
void add_classification(TrainSetup& setup, TrainConfig& config) {
  const auto seed = static_cast<uint64_t>(config.trainer.seed);
  if (config.lora) {
    const size_t adapted = vit::add_lora(*setup.model, *config.lora, seed).size();
    setup.start += fmt::format(", adapters of rank {} in {} layers", config.lora->rank, adapted);
  }
  if (config.linear_probe || config.lora) freeze_all_but_head(config, *setup.model);
  if (const auto* clips = dynamic_cast<const vit::ClipModel*>(setup.model.get())) {
    add_clip_loaders(setup, config, clips->frames());
  } else {
    setup.make_train_loader = [data = setup.data.train, preprocessor = setup.preprocessor, augment = config.augment,
                               sampler = config.sampler, seed](const datasets::LoaderConfig& loader) {
      return datasets::make_train_loader(*data, preprocessor, augment, sampler, loader, seed);
    };
    if (setup.data.val) setup.val = datasets::make_eval_loader(*setup.data.val, setup.preprocessor, config.loader);
  }
  auto task = std::make_unique<vit::ClassificationTask>(*setup.model, config.loss, setup.val.get(), setup.files);
  if (config.adversarial)
    task->learn_from_adversarial(*config.adversarial, vit::PixelScale::of(setup.preprocessor.to_float()));
  setup.task = std::move(task);
}

}  // namespace

void TrainConfig::validate() const {
  if (model.is_null())
    vit::fail_usage(
        "`model` is not given: a checkpoint to fine-tune (model=DIR), a configuration's name (vitkit info "
        "--list models), or a map with `type`");
  if (lora && linear_probe)
    vit::fail_usage("`linear_probe` trains the head only, `lora` adapters too: give one of them");
  data.validate();
  augment.validate();
  box_augment.validate();
  caption_augment.validate();
  trainer.validate();
}

TrainSetup prepare_training(TrainConfig& config) {
  TrainSetup setup;
  TrainStart start = load_start(config);
  const TrainKind kind = train_kind(*start.model);
  auto* const detector = dynamic_cast<detection::DetectionModel*>(start.model.get());
  auto* const captioner = dynamic_cast<captioning::CaptionModel*>(start.model.get());
  setup.data = open_data(config, kind);
  require_keys_of(config, kind, start.model->info().name);
  setup.start = start.has_weights()  ? "fine-tuning " + config.model.text()
                : start.from.empty() ? "from nothing"
                                     : start.from;
  const std::string head =
      captioner ? fit_vocabulary(setup, start, config, *captioner) : fit_head(start, setup.data, config.trainer.seed);
  if (start.has_weights() && !head.empty()) setup.start += ", " + head;
  if (config.img_size > 0) start.model->set_input_size(config.img_size, config.img_size);
  const vit::ModelInfo& info = start.model->info();
  if (info.input_channels != 3)
    vit::fail_usage("model: pictures have 3 channels, the model takes ", info.input_channels);
  TrainPixels pixels = detector ? detector_pixels(config, start, *detector) : choose_pixels(config, start);
  setup.preprocessor = pixels.preprocessor;
  setup.files = std::move(pixels.files);
  setup.files["config.json"] = checkpoint_json(*start.model, pixels.config, setup.data, config.data.data_dir);
  setup.facts = {{"training data", setup.data.train_fingerprint.text()}};
  if (setup.data.val) setup.facts["validation data"] = setup.data.val_fingerprint.text();
  setup.facts["model"] = config_json(start.model->describe()).dump();
  start.model->set_training({.drop_rate = static_cast<float>(config.drop),
                             .pos_drop_rate = static_cast<float>(config.pos_drop),
                             .patch_drop_rate = static_cast<float>(config.patch_drop),
                             .proj_drop_rate = static_cast<float>(config.proj_drop),
                             .drop_path_rate = static_cast<float>(config.drop_path),
                             .grad_checkpointing = config.grad_checkpointing});
  setup.model = std::move(start.model);
  setup.learns = fmt::format(" of {} classes", setup.data.class_names.size());
  if (detector)
    add_detection(setup, config, *detector);
  else if (captioner)
    add_captioning(setup, config, start, *captioner);
  else
    add_classification(setup, config);
  setup.train = setup.make_train_loader(config.loader);
  return setup;
}

}  // namespace apps
