// The fixed parts in which work on all parameters is spread over threads. Parts depend on the parameters' sizes only,
// so that results do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "vit/train/param_group.h"

namespace vit {

/// Elements [begin, end) of one parameter.
struct ParameterPart {
  size_t parameter;
  int64_t begin, end;
};

constexpr int64_t kPartElements = 32768;  // a part's four arrays fit a core's second-level cache

/// The parts of the parameters for which `wanted(index)` holds, in order.
template <class Wanted>
std::vector<ParameterPart> parameter_parts(const std::vector<NamedParameter>& parameters, const Wanted& wanted) {
  std::vector<ParameterPart> parts;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!wanted(i)) continue;
    const int64_t count = parameters[i].value.numel();
    for (int64_t begin = 0; begin < count; begin += kPartElements)
      parts.push_back({i, begin, std::min(begin + kPartElements, count)});
  }
  return parts;
}

/// The parts of all parameters that have a gradient.
inline std::vector<ParameterPart> gradient_parts(const std::vector<NamedParameter>& parameters) {
  return parameter_parts(parameters, [&](size_t i) { return parameters[i].grad.defined(); });
}

}  // namespace vit
