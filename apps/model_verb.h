// What a model is for, before it is loaded.
#pragma once

#include <string>

namespace apps {

/// The verb that a model of the command line is used with ("classify", "detect"), from its configuration: weights are
/// not read. Errors (usage): as vit::Checkpoint::open and vit::load_model.
std::string model_verb(const std::string& model);

}  // namespace apps
