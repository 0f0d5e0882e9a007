// How a model comes from a configuration: registries by the names that YAML files (`type`), timm (`architecture`) and
// Hugging Face (`model_type`) use, and the one function that loads a checkpoint. A family registers itself in its
// files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "vit/core/registry.h"
#include "vit/io/checkpoint.h"
#include "vit/models/load.h"
#include "vit/models/model.h"

namespace vit {

class ConfigNode;

/// A model without weights, and how its checkpoint names them.
struct ModelPlan {
  std::unique_ptr<ImageModel> model;
  KeyMap keys;
};

/// A checkpoint's config.json, where it came from (for messages), and its weights, for what only their names tell.
struct CheckpointConfig {
  const nlohmann::json& json;
  std::string where;
  const Weights* weights = nullptr;  ///< null: only the configuration is known
};

using YamlFactory = std::function<std::unique_ptr<ImageModel>(const ConfigNode& options, const std::string& name)>;
using CheckpointFactory = std::function<ModelPlan(const CheckpointConfig& config)>;

Registry<YamlFactory>& model_registry();               ///< by `type` of configs/model/*.yaml
Registry<CheckpointFactory>& timm_registry();          ///< by timm's `architecture`
Registry<CheckpointFactory>& hugging_face_registry();  ///< by Hugging Face's `model_type`

/// The model of a config.json, without weights. Errors (usage): no architecture or model_type, an unknown one (the
/// known are listed), dimensions that make no model.
ModelPlan plan_model(const CheckpointConfig& config);

/// A model without weights from a model configuration: `type` and its options. Errors (usage): an unknown type, options
/// that make no model.
std::unique_ptr<ImageModel> build_model(const ConfigNode& config, const std::string& name);

struct LoadModelOptions {
  std::optional<std::array<int64_t, 2>> input_size{};  ///< build for images of this height and width
  uint64_t seed = 0;                                   ///< for configurations without weights
  Purpose purpose = Purpose::inference;
  bool zero_weights = false;  ///< zeros instead of random numbers there: enough to describe a model, and quick
};

/// A model with its weights: a checkpoint's, or one with random weights from a model configuration.
/// Errors (usage): as plan_model and load_parameters.
std::unique_ptr<ImageModel> load_model(const Checkpoint& checkpoint, const LoadModelOptions& options = {});

}  // namespace vit
