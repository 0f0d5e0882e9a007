// Start values of the layers of captioners that are trained here.
#pragma once

#include <cmath>
#include <cstdint>

#include "vit/nn/module.h"

namespace captioning {

/// Normal with a standard deviation of 1 / sqrt(inputs): outputs are as large as inputs (LeCun et al. 1998, "Efficient
/// backprop", section 4.6).
inline vit::Init fan_in(int64_t inputs) { return vit::Init::normal(1.0f / std::sqrt(static_cast<float>(inputs))); }

}  // namespace captioning
