// Names of the ops' options in configurations and checkpoints.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "vit/autograd/ops.h"

namespace vit {

namespace kernels {
/// "none", "relu", "gelu", "gelu_tanh", "quick_gelu", "silu", "sigmoid", "tanh".
const std::vector<std::pair<Activation, std::string>>& enum_names(Activation);
}  // namespace kernels

/// "bicubic_antialias", "bicubic".
const std::vector<std::pair<Interpolation, std::string>>& enum_names(Interpolation);

/// An activation by any name that timm (act_layer) or Hugging Face (hidden_act) gives it: "gelu_new", "swish", ...
/// Errors (usage): unknown; the message opens with `where` and lists the known names.
Activation activation_of(const std::string& name, const std::string& where);

}  // namespace vit
