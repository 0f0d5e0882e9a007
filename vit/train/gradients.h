// What happens to gradients between the backward pass and the update: scaling after accumulation, their norm, clipping,
// and the discovery that they are not finite.
#pragma once

#include <string>
#include <vector>

#include "vit/train/param_group.h"

namespace vit {

/// Euclidean norm of all defined gradients together, each times `scale`. Summed in double over fixed parts: the same
/// bits for any number of threads. NaN or infinite when, and only when, a gradient is.
double gradient_norm(const std::vector<NamedParameter>& parameters, double scale = 1.0);

struct GradientReport {
  double norm = 0.0;        ///< of the accumulated mean, before clipping
  double grad_scale = 1.0;  ///< factor that Optimizer::step is to apply
  bool finite = true;       ///< false: do not take the step
};

/// Prepares gradients that are the sum of config.grad_accum_steps batches' (or of `accumulated` of them, when above 0:
/// the end of an epoch) for the update. Clipping by norm multiplies by min(1, clip_grad / (norm + 1e-6)), and needs no
/// pass of its own: the factor is in `grad_scale`. Clipping by value and agc change the gradients in place; agc leaves
/// out the parameters of the head, as timm. Nothing is changed when the gradients are not finite.
GradientReport prepare_gradients(const std::vector<NamedParameter>& parameters, const OptimizerConfig& config,
                                 int64_t accumulated = 0);

/// The name and the kind ("NaN", "infinite") of the first parameter whose gradient is not finite, for the message; ""
/// when there is none.
std::string describe_non_finite(const std::vector<NamedParameter>& parameters);

}  // namespace vit
