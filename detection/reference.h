// Reference outputs of detectors: what every family's outputs and post-processed detections are called by transformers
// and facebookresearch/detr, for ImageModel::reference_names().
#pragma once

#include <map>
#include <string>

#include "vit/models/model.h"

namespace detection {

/// Names of the outputs that DetectionModel::run_reference observes. A family adds those of its intermediates.
const std::map<std::string, vit::ReferenceOutput>& output_reference_names();

}  // namespace detection
