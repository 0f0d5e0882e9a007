// Reference outputs of captioners: what transformers calls their outputs and generated captions, for
// ImageModel::reference_names().
#pragma once

#include <map>
#include <string>

#include "vit/models/model.h"

namespace captioning {

/// Names of what CaptionModel::run_reference observes, and of a text decoder's intermediates.
const std::map<std::string, vit::ReferenceOutput>& caption_reference_names();

}  // namespace captioning
