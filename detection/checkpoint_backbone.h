// The backbone inside a detector's checkpoint: which model of the toolkit it is, and what its tensors are called there.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "vit/core/config_node.h"
#include "vit/models/build.h"

namespace detection {

/// Batch norms are frozen, as the detectors of these libraries have them.
struct BackbonePlan {
  vit::ConfigNode config;                 ///< `type: resnet` and its options
  std::vector<vit::KeyRule> rules;        ///< of a module that is called "backbone"
  std::vector<int64_t> maps{0, 1, 2, 3};  ///< that the checkpoint says it uses, as numbers of Backbone::features()
};

/// The backbone of a Hugging Face detector, from `use_timm_backbone`, `backbone`, `backbone_kwargs` and `dilation`
/// (timm's tensor names), or from `backbone_config` (Hugging Face's ResNet); its tensors lie behind `prefix`. The
/// dimensions of a timm backbone are those of its tensors, where there are any. Errors (usage): a backbone that is no
/// ResNet.
BackbonePlan plan_hugging_face_backbone(const vit::CheckpointConfig& checkpoint, const std::string& prefix);

/// A ResNet under torchvision's (and timm's) tensor names behind `prefix`. `name`: its architecture, "resnet50";
/// `arguments`: timm's, such as output_stride.
BackbonePlan plan_named_backbone(const vit::CheckpointConfig& checkpoint, const std::string& name,
                                 const nlohmann::json& arguments, const std::string& prefix);

}  // namespace detection
