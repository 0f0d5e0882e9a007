// A list of attention mechanisms in a model's configuration, one for each of its blocks (or stages).
#pragma once

#include <cstdint>
#include <string>

#include "vit/core/config_node.h"

namespace vit {

/// The mechanism of block `index`: an entry of the list, or the node itself, which then is everybody's.
ConfigNode attention_of(const ConfigNode& attention, int64_t index);

/// Errors (usage), at the list's place: another length than `count`; `what` names that number, "depth". For a model's
/// constructor: what validate() throws is given a place once more.
void check_attention_list(const ConfigNode& attention, int64_t count, const std::string& what);

}  // namespace vit
