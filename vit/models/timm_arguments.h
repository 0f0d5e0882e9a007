// What every timm family shares in reading config.json: the arguments of the model's constructor, with timm's
// precedence.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>

#include "vit/io/json.h"

namespace vit {

/// The arguments that timm would pass to the constructor: `model_args`, then what the architecture's own function sets
/// (`entry`, taken over), then num_classes, global_pool and input_size as the file and its pretrained_cfg have them.
/// What is not in the result has the class's default. Errors (usage): an input_size that is none.
nlohmann::json timm_arguments(const JsonObject& file, nlohmann::json entry);

/// Errors (usage): an argument that is neither among the `known` nor among those `without_effect`, by name.
void check_timm_arguments(const JsonObject& args, const std::set<std::string>& known,
                          const std::set<std::string>& without_effect);

}  // namespace vit
