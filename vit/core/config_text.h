// A configuration node as people read it in a sentence or a table.
#pragma once

#include <string>

#include "vit/core/config_node.h"

namespace vit {

/// The node in one line of YAML: "{type: window, window: 7}". `nothing` stands for null.
std::string inline_yaml(const ConfigNode& node, const std::string& nothing = "null");

}  // namespace vit
