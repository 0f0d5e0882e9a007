// Gradients of whole modules in tests: values for every parameter, one backward pass, and directional derivatives.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "vit/autograd/var.h"
#include "vit/core/context.h"
#include "vit/nn/module.h"

namespace vit::test {

/// Random values that make every part count, the same for a name in every model; trained parameters become leaves,
/// buffers constants (running variances positive).
void fill_leaves(Module& module);

/// The scalar that is differentiated: a pass from the context to one number or to logits.
using Pass = std::function<Var(Context&)>;

/// Gradients by parameter name after one pass and its backward from `d_output` (undefined: ones); those without a path
/// are left out. `ctx` gives the flags and the seed; its tape is set for the call.
std::map<std::string, Tensor> gradients_of(Module& module, Context& ctx, const Pass& pass, const Tensor& d_output = {});

/// The step of differences of smooth functions.
inline constexpr double kSmoothStep = 0.02;

/// For every parameter, compares the norm of its gradient with the derivative of sum(pass * R) along it, by a
/// five-point difference. A wrong gradient of any op on the way shows in the parameters before it. `step` is large
/// beside f32's rounding of the outputs, small beside the scale of the parameters; a smaller one is for maxima and
/// other corners.
void expect_directional_derivatives(Module& module, const Pass& pass, double step = kSmoothStep);

/// The same where kinks and jumps lie too close for any one step: at one of these the difference must be the slope.
void expect_directional_derivatives(Module& module, const Pass& pass, const std::vector<double>& steps);

}  // namespace vit::test
