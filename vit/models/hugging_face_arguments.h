// What every Hugging Face family shares in reading config.json and naming tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vit/io/json.h"
#include "vit/models/load.h"

namespace vit {

/// PretrainedConfig keeps the number of labels in id2label and omits it when it is the default of two.
int64_t hugging_face_label_count(const JsonObject& json);

/// The rules of a layer's weight and bias from one of its name.
std::vector<KeyRule> weight_and_bias(const std::string& ours, const std::vector<std::string>& theirs);

}  // namespace vit
