#include "vit/explain/recorder.h"

#include <algorithm>
#include <cmath>

#include "vit/core/check.h"

namespace vit {

namespace {

/// The first sample of [B, H, Nq, Nk] as [H, Nq, Nk].
Tensor first_sample(const Tensor& value) {
  return value.slice(0, 1).view({value.size(1), value.size(2), value.size(3)});
}

}  // namespace

std::string without_ending(const std::string& name, const std::string& ending) {
  if (name.size() <= ending.size() || !name.ends_with(ending)) return {};
  return name.substr(0, name.size() - ending.size());
}

std::vector<std::string> modules_offering(const Subject& subject, const std::string& ending) {
  std::vector<std::string> modules;
  for (const std::string& name : subject.offers()) {
    const std::string module = without_ending(name, ending);
    if (!module.empty()) modules.push_back(module);
  }
  return modules;
}

TokenLayout read_layout(const Tensor& value) {
  const auto at = [&](int64_t i) { return static_cast<int64_t>(std::llround(value.f32()[i])); };
  return {.prefix = at(0), .rows = at(1), .columns = at(2)};
}

bool AttentionRecorder::wants(const std::string& name) {
  if (name == "layout" || name.ends_with(".layout")) return true;
  std::string module = without_ending(name, ".probs");
  if (module.empty() && options_.gradients) module = without_ending(name, ".probs.grad");
  return !module.empty() && (!options_.wants || options_.wants(module));
}

TokenLayout AttentionRecorder::layout_of(const std::string& module) const {
  if (const std::optional<TokenLayout> told = subject_.layout_of(module)) return *told;
  const auto own = layouts_.find(module);
  return own != layouts_.end() ? own->second : latest_;
}

void AttentionRecorder::observe(const std::string& name, const Tensor& value) {
  if (name == "layout" || name.ends_with(".layout")) {
    latest_ = layouts_[without_ending(name, ".layout")] = read_layout(value);
    return;
  }
  check(value.rank() == 4, "explain: ", name, " should be [B, H, Nq, Nk], got ", value.shape());
  const Tensor sample = first_sample(value);
  const std::string module = without_ending(name, ".probs");
  if (!module.empty()) {
    layers_.push_back(
        {.module = module, .layout = layout_of(module), .probs = options_.reduce ? options_.reduce(sample) : sample});
    return;
  }
  const std::string of = without_ending(name, ".probs.grad");
  for (RecordedAttention& layer : layers_) {
    if (layer.module != of) continue;
    if (options_.join)
      layer.probs = options_.join(layer.probs, sample);
    else
      layer.gradient = sample;
    layer.reached = true;
  }
}

}  // namespace vit
