#include "vit/train/gradients.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "vit/core/parallel.h"
#include "vit/kernels/kernels.h"
#include "vit/train/parameter_parts.h"

namespace vit {

namespace {

constexpr double kNormEps = 1e-6;  // torch's clip_grad_norm_
// timm's adaptive_clip_grad
constexpr double kLeastWeightNorm = 1e-3;
constexpr double kLeastGradNorm = 1e-6;

void clip_values(const std::vector<NamedParameter>& parameters, float scale, float bound) {
  const std::vector<ParameterPart> parts = gradient_parts(parameters);
  parallel_for(static_cast<int64_t>(parts.size()), [&](int64_t index) {
    const ParameterPart& part = parts[static_cast<size_t>(index)];
    float* grad = parameters[part.parameter].grad.f32();
    for (int64_t i = part.begin; i < part.end; ++i) grad[i] = std::clamp(scale * grad[i], -bound, bound);
  });
}

/// One output unit: its gradient's norm is bounded by `factor` times its weight's.
void clip_unit(float* grad, const float* value, int64_t count, float scale, double factor) {
  const auto sum_of_squares = kernels::kernels().sum_of_squares;
  const double bound = std::max(std::sqrt(sum_of_squares(value, count)), kLeastWeightNorm) * factor;
  const double norm = scale * std::sqrt(sum_of_squares(grad, count));
  const float multiplier = norm < bound ? scale : static_cast<float>(scale * bound / std::max(norm, kLeastGradNorm));
  for (int64_t i = 0; i < count; ++i) grad[i] *= multiplier;
}

void clip_adaptively(const std::vector<NamedParameter>& parameters, float scale, double factor) {
  parallel_for(static_cast<int64_t>(parameters.size()), [&](int64_t index) {
    const NamedParameter& parameter = parameters[static_cast<size_t>(index)];
    if (!parameter.grad.defined()) return;
    const bool is_head = is_head_parameter(parameter.name);
    const int64_t count = parameter.value.numel();
    // The first axis counts output units; vectors are one unit.
    const int64_t units = parameter.value.rank() > 1 ? parameter.value.size(0) : 1;
    const double unit_factor = is_head ? std::numeric_limits<double>::infinity() : factor;
    for (int64_t unit = 0; unit < units; ++unit) {
      const Range range = part_range(count, units, unit);
      clip_unit(parameter.grad.f32() + range.begin, parameter.value.f32() + range.begin, range.end - range.begin, scale,
                unit_factor);
    }
  });
}

}  // namespace

double gradient_norm(const std::vector<NamedParameter>& parameters, double scale) {
  const std::vector<ParameterPart> parts = gradient_parts(parameters);
  std::vector<double> sums(parts.size());
  parallel_for(static_cast<int64_t>(parts.size()), [&](int64_t index) {
    const ParameterPart& part = parts[static_cast<size_t>(index)];
    sums[static_cast<size_t>(index)] =
        kernels::kernels().sum_of_squares(parameters[part.parameter].grad.f32() + part.begin, part.end - part.begin);
  });
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return scale * std::sqrt(total);
}

GradientReport prepare_gradients(const std::vector<NamedParameter>& parameters, const OptimizerConfig& config,
                                 int64_t accumulated) {
  const double mean = 1.0 / static_cast<double>(accumulated > 0 ? accumulated : config.grad_accum_steps);
  GradientReport report{.norm = gradient_norm(parameters, mean), .grad_scale = mean};
  report.finite = std::isfinite(report.norm);
  if (!report.finite || !config.clip_grad) return report;
  switch (config.clip_mode) {
    case ClipMode::norm:
      report.grad_scale = mean * std::min(1.0, *config.clip_grad / (report.norm + kNormEps));
      break;
    case ClipMode::value:
      clip_values(parameters, static_cast<float>(mean), static_cast<float>(*config.clip_grad));
      report.grad_scale = 1.0;
      break;
    case ClipMode::agc:
      clip_adaptively(parameters, static_cast<float>(mean), *config.clip_grad);
      report.grad_scale = 1.0;
      break;
  }
  return report;
}

std::string describe_non_finite(const std::vector<NamedParameter>& parameters) {
  for (const NamedParameter& parameter : parameters) {
    if (!parameter.grad.defined()) continue;
    for (const float value : parameter.grad.span<float>())
      if (!std::isfinite(value)) return parameter.name + (std::isnan(value) ? " (NaN)" : " (infinite)");
  }
  return {};
}

}  // namespace vit
