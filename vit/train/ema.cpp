#include "vit/train/ema.h"

#include <algorithm>
#include <cmath>

#include "vit/core/parallel.h"
#include "vit/train/parameter_parts.h"

namespace vit {

namespace {
constexpr double kWarmupPower = 2.0 / 3.0;  // timm's default
}  // namespace

ModelEma::ModelEma(const EmaConfig& config, const std::vector<NamedParameter>& parameters) : config_(config) {
  for (const NamedParameter& parameter : parameters) {
    check(parameter.value.defined() && parameter.value.dtype() == DType::f32, "ema: parameter ", parameter.name,
          " is not an f32 tensor");
    names_.push_back(parameter.name);
    averages_.push_back(parameter.value.clone());
  }
}

double ModelEma::decay_at(int64_t updates_done) const {
  const int64_t n = updates_done - 1;
  if (n <= 0) return 0.0;
  if (!config_.model_ema_warmup) return config_.model_ema_decay;
  return std::min(1.0 - std::pow(1.0 + static_cast<double>(n), -kWarmupPower), config_.model_ema_decay);
}

void ModelEma::update(const std::vector<NamedParameter>& parameters, int64_t updates_done) {
  check(parameters.size() == averages_.size(), "ema: made for ", averages_.size(), " parameters, given ",
        parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i)
    check(parameters[i].name == names_[i] && parameters[i].value.shape() == averages_[i].shape(), "ema: parameter ",
          parameters[i].name, " ", parameters[i].value.shape(), ", expected ", names_[i], " ", averages_[i].shape());
  const double share = 1.0 - decay_at(updates_done);
  const float weight = static_cast<float>(share), rest = static_cast<float>(1.0 - share);
  const std::vector<ParameterPart> parts = parameter_parts(parameters, [](size_t) { return true; });
  parallel_for(static_cast<int64_t>(parts.size()), [&](int64_t index) {
    const ParameterPart& part = parts[static_cast<size_t>(index)];
    const float* value = static_cast<const float*>(parameters[part.parameter].value.raw());
    float* average = static_cast<float*>(averages_[part.parameter].raw());
    // torch.lerp: starts from the nearer end, so that weight 1 copies exactly.
    for (int64_t i = part.begin; i < part.end; ++i)
      average[i] =
          weight < 0.5f ? average[i] + weight * (value[i] - average[i]) : value[i] - rest * (value[i] - average[i]);
  });
}

void ModelEma::save(NamedTensors& into) const {
  for (size_t i = 0; i < names_.size(); ++i) into["ema." + names_[i]] = averages_[i];
}

void ModelEma::restore(const NamedTensors& from) {
  for (size_t i = 0; i < names_.size(); ++i) restore_tensor(from, "ema." + names_[i], averages_[i], "ema");
}

}  // namespace vit
