// Named tensors: what parts of a training run (optimizer, EMA, schedule) put into a checkpoint and take out of it
// again.
#pragma once

#include <map>
#include <string>

#include "vit/core/tensor.h"

namespace vit {

/// Keys begin with the part's own prefix: "optimizer.exp_avg.head.weight".
using NamedTensors = std::map<std::string, Tensor>;

/// Copies `saved[key]` over `into`, which keeps its memory. Errors (usage): no such key, another shape or dtype; `what`
/// opens the message ("optimizer").
void restore_tensor(const NamedTensors& saved, const std::string& key, const Tensor& into, const char* what);

}  // namespace vit
