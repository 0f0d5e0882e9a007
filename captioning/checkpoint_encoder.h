// The picture's model inside a captioner's checkpoint: any vision transformer of Hugging Face that this toolkit reads
// by itself (`vit`, `deit`, `dinov2`), or BLIP's and CLIP's towers, whose names are their own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "vit/core/config_node.h"
#include "vit/io/json.h"
#include "vit/models/load.h"
#include "vit/models/vit.h"

namespace captioning {

/// A vision transformer without a head from a model's configuration; `part` is its key, "encoder", and `need` what
/// is said where it is no map: "a captioner needs an `encoder`". Errors (usage): that, another type of model.
std::unique_ptr<vit::Vit> build_vision_transformer(const vit::ConfigNode& node, const std::string& part,
                                                   const std::string& need);

struct CheckpointEncoder {
  vit::ConfigNode config;  ///< as a file of configs/model has it
  vit::KeyMap keys;        ///< "encoder." and our names -> the checkpoint's, with the prefix; and what is ignored
  int64_t width = 0;
};

/// `json` is the encoder's part of config.json, `prefix` that of its tensors. Errors (usage): another family.
CheckpointEncoder read_checkpoint_encoder(const vit::JsonObject& json, const std::string& prefix);

/// `vision_config` of BLIP and CLIP: what the two have in common. `patch_size` is the default of theirs.
vit::VitConfig read_vision_tower(const vit::JsonObject& json, const std::string& activation, int64_t image_size,
                                 int64_t patch_size);

/// Their names: "PREFIX" (ours, with its dot) -> "vision_model.", but for what differs.
vit::KeyMap vision_tower_keys(const std::string& ours);

}  // namespace captioning
