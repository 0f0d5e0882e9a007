// The backbone inside a Hugging Face detector's checkpoint: a timm ResNet (`use_timm_backbone`) or one of transformers
// (`backbone_config`), its maps, and the names of its tensors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vit/io/json.h"
#include "vit/models/backbone.h"
#include "vit/models/load.h"

namespace detection {

struct CheckpointBackboneOptions {
  std::string prefix;                 ///< of its tensors: "model.backbone.conv_encoder.model."
  std::vector<int64_t> out_indices;   ///< of timm's maps where the configuration names none; 1 is the first stage
  bool frozen_norm = true;            ///< its batch norms are constants
  bool dilation = false;              ///< the last stage dilates in place of striding
  std::array<int64_t, 2> img_size{};  ///< what images are resized to
};

struct CheckpointBackbone {
  std::unique_ptr<vit::Backbone> backbone;
  std::vector<int64_t> maps;        ///< numbers in Backbone::features()
  std::vector<vit::KeyRule> rules;  ///< "backbone." and our names -> the checkpoint's, with the prefix
};

/// `json` is the detector's config.json; `weights` may be null. Errors (usage): a backbone that is not known here, maps
/// in front of its first stage.
CheckpointBackbone read_checkpoint_backbone(const vit::JsonObject& json, const vit::Weights* weights,
                                            const CheckpointBackboneOptions& options);

}  // namespace detection
