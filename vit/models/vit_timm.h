// timm's config.json -> VitConfig.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "vit/models/vit.h"

namespace vit {

/// Reads `architecture`, `model_args` and `pretrained_cfg` with timm's precedence: model_args, then what the
/// architecture's own function sets, then pretrained_cfg (num_classes, in_chans, img_size), then the class defaults.
/// `where` opens messages. Errors (usage): unknown architecture, an argument that is unknown or not supported,
/// dimensions that make no model.
VitConfig vit_config_from_timm(const nlohmann::json& config, const std::string& where);

}  // namespace vit
