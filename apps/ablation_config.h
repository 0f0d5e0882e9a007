// What `vitkit ablate` reads: a training configuration, and the variants that are trained in its place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "vit/core/config.h"

namespace apps {

/// The section `ablation` of the file.
struct AblationConfig {
  std::string key = "model.attention";
  std::vector<vit::ConfigNode> variants{};
  int64_t rounds = 9;

  template <class V>
  void visit_fields(V& v) {
    v("key", key, "Key of the training configuration that the variants set.");
    v("variants", variants,
      "Values of the key: a name, a map with `type` and options, or {name: NAME, KEY: value} with the key's last "
      "part.");
    v("rounds", rounds, "Measurements of the speed, of which the median counts.", vit::between(1, 1000));
  }
};

struct AblationVariant {
  std::string name;        ///< also of its folder
  vit::ConfigNode value;   ///< of the key
  vit::ConfigNode config;  ///< the whole training configuration
};

struct Ablation {
  std::filesystem::path output;
  std::string key;
  int64_t rounds = 0;
  std::vector<AblationVariant> variants;
};

/// Errors (usage), with file and line: no variants; a variant without a name or with one that is no folder's, or that
/// two have; what load_config refuses of the section; `max_minutes`, under which variants would differ in their budget.
Ablation load_ablation(const std::string& file, const std::vector<std::string>& overrides);

}  // namespace apps
