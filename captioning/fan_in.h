// Start values of the layers of captioners that are trained here.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "vit/nn/module.h"

namespace captioning {

/// Normal with a standard deviation of 1 / sqrt(inputs): outputs are as large as inputs (LeCun et al. 1998, "Efficient
/// backprop", section 4.6).
inline vit::Init fan_in(int64_t inputs) { return vit::Init::normal(1.0f / std::sqrt(static_cast<float>(inputs))); }

/// The same for all matrices [outputs, inputs] of a module. The zoo's mechanisms start with small weights, as timm has
/// it for deep transformers: a decoder of one layer would look at all regions alike for many thousand pictures.
inline void start_with_fan_in(vit::Module& module) {
  module.visit_parameters([](const std::string&, vit::Parameter& parameter) {
    if (parameter.shape.rank() == 2) parameter.init = fan_in(parameter.shape[1]);
  });
}

}  // namespace captioning
