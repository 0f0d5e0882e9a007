#include "vit/train/lora.h"

#include <fnmatch.h>

#include <algorithm>
#include <map>

#include "vit/core/names.h"
#include "vit/models/load.h"
#include "vit/nn/linear.h"
#include "vit/train/param_group.h"

namespace vit {

namespace {

/// A glob on the whole name or on what follows one of its dots.
bool ends_in(const std::string& name, const std::string& pattern) {
  return fnmatch(pattern.c_str(), name.c_str(), 0) == 0 || fnmatch(("*." + pattern).c_str(), name.c_str(), 0) == 0;
}

/// What names of a module's parameters begin with.
std::string below(const std::string& module) { return module.empty() ? "" : module + "."; }

std::vector<std::pair<std::string, Linear*>> linear_layers(Module& module) {
  std::vector<std::pair<std::string, Linear*>> layers;
  module.visit_modules([&](const std::string& name, Module& child) {
    if (auto* linear = dynamic_cast<Linear*>(&child)) layers.emplace_back(name, linear);
  });
  return layers;
}

[[noreturn]] void refuse(const std::string& target, const std::vector<std::pair<std::string, Linear*>>& layers) {
  std::vector<std::string> candidates;
  for (const auto& [name, layer] : layers) {
    if (ends_in(name, target))
      fail_usage("lora.targets: '", target, "' is the head, which is trained whole; leave it out");
    for (size_t begin = 0; begin != std::string::npos; begin = name.find('.', begin + 1))
      candidates.push_back(name.substr(begin == 0 ? 0 : begin + 1));
  }
  fail_usage("lora.targets: no linear layer's name ends in '", target, "'", did_you_mean(target, candidates),
             "; `vitkit info --model` lists the modules");
}

}  // namespace

void LoraConfig::validate() const {
  if (targets.empty()) fail_usage("lora.targets: at least one layer must be named, such as attn.qkv");
}

bool is_lora_parameter(const std::string& name) {
  const std::string own = name.substr(name.rfind('.') + 1);  // npos + 1 is 0
  return own == "lora_a" || own == "lora_b";
}

std::vector<std::string> add_lora(Module& module, const LoraConfig& config, uint64_t seed) {
  config.validate();
  const auto layers = linear_layers(module);
  for (const std::string& target : config.targets) {
    const auto fits = [&](const auto& layer) {
      return !is_head_parameter(layer.first) && ends_in(layer.first, target);
    };
    if (std::none_of(layers.begin(), layers.end(), fits)) refuse(target, layers);
  }
  std::vector<std::string> adapted;
  for (const auto& [name, layer] : layers) {
    const auto names_it = [&name = name](const std::string& target) { return ends_in(name, target); };
    if (is_head_parameter(name) || std::none_of(config.targets.begin(), config.targets.end(), names_it)) continue;
    layer->add_lora({config.rank, static_cast<float>(config.alpha), static_cast<float>(config.dropout)});
    for (const auto& [own, parameter] : layer->own_parameters())
      if (is_lora_parameter(own)) initialise_parameter(below(name) + own, *parameter, seed);
    adapted.push_back(name);
  }
  return adapted;
}

std::vector<std::pair<std::string, Tensor>> merge_lora(Module& module,
                                                       const std::vector<std::pair<std::string, Tensor>>& weights) {
  std::map<std::string, float> factors;  // by the name of the weight
  for (const auto& [name, layer] : linear_layers(module))
    if (layer->lora()) factors[below(name) + "weight"] = layer->lora()->factor();
  if (factors.empty()) return weights;
  const std::map<std::string, Tensor> by_name(weights.begin(), weights.end());
  const auto find = [&](const std::string& name) {
    const auto found = by_name.find(name);
    check(found != by_name.end(), "lora: ", name, " is missing");
    return found->second;
  };
  std::vector<std::pair<std::string, Tensor>> merged;
  for (const auto& [name, value] : weights) {
    if (is_lora_parameter(name)) continue;
    const auto factor = factors.find(name);
    if (factor == factors.end()) {
      merged.emplace_back(name, value);
      continue;
    }
    const std::string layer = name.substr(0, name.rfind('.') + 1);
    merged.emplace_back(name, merge_lora_weight(value, find(layer + "lora_a"), find(layer + "lora_b"), factor->second));
  }
  return merged;
}

}  // namespace vit
