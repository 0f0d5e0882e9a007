// What a training run begins with: the model, with a head for the data's classes.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "apps/train_config.h"
#include "vit/image/preprocess.h"
#include "vit/io/checkpoint.h"
#include "vit/models/model.h"

namespace apps {

/// The model before its head is fitted, and where its pre-processing comes from.
struct TrainStart {
  std::unique_ptr<vit::ImageModel> model;
  std::optional<vit::Checkpoint> checkpoint;  ///< none: a model configuration inside the file
  std::string from{};                         ///< where weights came from, for people; empty: nowhere
  bool has_weights() const { return checkpoint && checkpoint->has_weights(); }
};

/// Errors (usage): as vit::load_model; init_from beside a checkpoint, or with no weight that fits.
TrainStart load_start(const TrainConfig& config);

/// A head for the data's classes where the model has another; says so.
std::string fit_head(TrainStart& start, const datasets::TrainingData& data, int64_t seed);

/// Pre-processing, and how a checkpoint says it.
struct TrainPixels {
  vit::Preprocessor preprocessor;
  nlohmann::ordered_json config;             ///< goes into config.json
  std::map<std::string, std::string> files;  ///< preprocessor_config.json, where the checkpoint has one
};

}  // namespace apps
