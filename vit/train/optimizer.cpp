#include "vit/train/optimizer.h"

#include <cmath>

namespace vit {

namespace {
constexpr const char* kStepsKey = "optimizer.step";

std::string state_key(const std::string& state, const std::string& parameter) {
  return "optimizer." + state + "." + parameter;
}
}  // namespace

const std::vector<std::pair<ClipMode, std::string>>& enum_names(ClipMode) {
  static const std::vector<std::pair<ClipMode, std::string>> names = {
      {ClipMode::norm, "norm"}, {ClipMode::value, "value"}, {ClipMode::agc, "agc"}};
  return names;
}

void ParamRule::validate() const {
  if (pattern.empty()) fail_usage("a rule of param_groups needs a pattern");
}

void OptimizerConfig::validate() const {
  optimizer_registry().find(opt);
  if (opt_betas && ((*opt_betas)[0] >= 1.0 || (*opt_betas)[1] >= 1.0))
    fail_usage("opt_betas must be below 1: a running average with 1 never moves");
}

Optimizer::Optimizer(const std::vector<NamedParameter>& parameters, std::vector<ParamSettings> settings,
                     std::vector<std::string> state_names)
    : settings_(std::move(settings)), state_names_(std::move(state_names)) {
  check(parameters.size() == settings_.size(), "optimizer: ", parameters.size(), " parameters, ", settings_.size(),
        " settings");
  for (size_t i = 0; i < parameters.size(); ++i) {
    const NamedParameter& parameter = parameters[i];
    check(parameter.value.defined() && parameter.value.dtype() == DType::f32, "optimizer: parameter ", parameter.name,
          " is not an f32 tensor");
    Slot slot{.name = parameter.name, .state = {}};
    if (!settings_[i].frozen)
      for (size_t s = 0; s < state_names_.size(); ++s) slot.state.push_back(Tensor::zeros(parameter.value.shape()));
    slots_.push_back(std::move(slot));
  }
}

void Optimizer::check_parameters(const std::vector<NamedParameter>& parameters) const {
  check(parameters.size() == slots_.size(), "optimizer: made for ", slots_.size(), " parameters, given ",
        parameters.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    const NamedParameter& parameter = parameters[i];
    check(parameter.name == slots_[i].name, "optimizer: parameter ", i, " is ", parameter.name, ", expected ",
          slots_[i].name);
    if (!slots_[i].state.empty())
      check(parameter.value.shape() == slots_[i].state[0].shape(), "optimizer: ", parameter.name,
            " has changed its shape to ", parameter.value.shape());
    if (!parameter.grad.defined()) continue;
    check(parameter.grad.dtype() == DType::f32 && parameter.grad.shape() == parameter.value.shape(),
          "optimizer: the gradient of ", parameter.name, " is ", name_of(parameter.grad.dtype()), " ",
          parameter.grad.shape(), ", expected f32 ", parameter.value.shape());
  }
}

Optimizer::Arrays Optimizer::arrays_of(int64_t index) const {
  const ParameterPart& part = parts_[static_cast<size_t>(index)];
  const NamedParameter& parameter = (*parameters_)[part.parameter];
  const std::vector<Tensor>& state = slots_[part.parameter].state;
  const auto at = [&](const Tensor& tensor) { return static_cast<float*>(tensor.raw()) + part.begin; };
  return {at(parameter.value), at(parameter.grad), state.empty() ? nullptr : at(state[0]),
          state.size() < 2 ? nullptr : at(state[1]), part.end - part.begin};
}

void Optimizer::step(const std::vector<NamedParameter>& parameters, double lr, double grad_scale) {
  check_parameters(parameters);
  ++steps_;
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    slot.active = parameters[i].grad.defined() && !settings_[i].frozen;
    slot.lr = lr * settings_[i].lr_scale;
    if (slot.active) ++slot.steps;
  }
  parts_ = parameter_parts(parameters, [&](size_t i) { return slots_[i].active; });
  parameters_ = &parameters;
  begin_step(parameters, grad_scale);
  for_parts([&](size_t slot, int64_t part, const Arrays& arrays) { update(slot, part, arrays); });
  end_step();
  parameters_ = nullptr;
}

void Optimizer::save(NamedTensors& into) const {
  std::vector<int64_t> steps = {steps_};
  for (const Slot& slot : slots_) {
    steps.push_back(slot.steps);
    for (size_t s = 0; s < slot.state.size(); ++s) into[state_key(state_names_[s], slot.name)] = slot.state[s];
  }
  into[kStepsKey] = Tensor::from(steps, {static_cast<int64_t>(steps.size())});
}

void Optimizer::restore(const NamedTensors& from) {
  const Tensor steps = Tensor::empty({static_cast<int64_t>(slots_.size()) + 1}, DType::i64);
  restore_tensor(from, kStepsKey, steps, "optimizer");
  steps_ = steps.data<int64_t>()[0];
  for (size_t i = 0; i < slots_.size(); ++i) {
    slots_[i].steps = steps.data<int64_t>()[i + 1];
    for (size_t s = 0; s < slots_[i].state.size(); ++s)
      restore_tensor(from, state_key(state_names_[s], slots_[i].name), slots_[i].state[s], "optimizer");
  }
}

int64_t Optimizer::state_bytes() const {
  int64_t bytes = 0;
  for (const Slot& slot : slots_)
    for (const Tensor& tensor : slot.state) bytes += tensor.nbytes();
  return bytes;
}

Registry<OptimizerFactory>& optimizer_registry() {
  static Registry<OptimizerFactory> registry("optimizer (opt)");
  return registry;
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, const std::vector<NamedParameter>& parameters,
                                          std::vector<ParamSettings> settings) {
  return optimizer_registry().find(config.opt)(config, parameters, std::move(settings));
}

}  // namespace vit
