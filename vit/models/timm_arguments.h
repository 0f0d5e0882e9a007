// What every timm family shares in reading config.json: the arguments of the model's constructor, with timm's
// precedence.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "vit/core/config_node.h"
#include "vit/heads/classifier.h"
#include "vit/io/json.h"

namespace vit {

/// The arguments that timm would pass to the constructor: `model_args`, then what the architecture's own function sets
/// (`entry`, taken over), then num_classes, global_pool and input_size as the file and its pretrained_cfg have them.
/// What is not in the result has the class's default. Errors (usage): an input_size that is none.
nlohmann::json timm_arguments(const JsonObject& file, nlohmann::json entry);

/// The height and width that a checkpoint was made for, as its pretrained_cfg has them, or, in files that old versions
/// wrote, the top level. Errors (usage): an input_size that is not [channels, height, width].
std::optional<std::array<int64_t, 2>> pretrained_input_size(const JsonObject& file);

/// `global_pool`, timm's name of a pooling. Errors (usage): one that is not among the `supported`.
Pool timm_global_pool(const JsonObject& args, Pool fallback, const std::vector<Pool>& supported);

/// A mechanism whose only option in timm is `qkv_bias`, an argument of the model (default true).
ConfigNode timm_mechanism(const JsonObject& args, const std::string& type);

/// Errors (usage): an argument that is neither among the `known` nor among those `without_effect`, by name.
void check_timm_arguments(const JsonObject& args, const std::set<std::string>& known,
                          const std::set<std::string>& without_effect);

}  // namespace vit
