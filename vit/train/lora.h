// Fine-tuning by low-rank adapters (Hu et al. 2021): the linear layers of a model that are chosen by name get a small
// trained term beside their frozen weight; a checkpoint has the two merged and is a plain model.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "vit/core/config.h"
#include "vit/core/tensor.h"

namespace vit {

class Module;

struct LoraConfig {
  int64_t rank = 8;
  double alpha = 16.0;
  std::vector<std::string> targets = {"attn.qkv", "attn.proj"};
  double dropout = 0.0;

  template <class V>
  void visit_fields(V& v) {
    v("rank", rank, "Rank of the adapters.", between(1, 4096));
    v("alpha", alpha, "The adapters count alpha / rank.", above(0));
    v("targets", targets,
      "Linear layers by the end of their names, or globs on it: attn.qkv, blocks.1.attn.*, mlp.fc?.");
    v("dropout", dropout, "Dropout of what the adapters read.", between(0, 0.99));
  }
  /// Errors (usage): no targets.
  void validate() const;
};

/// Gives the targets adapters, with start values that depend on the seed and their names; returns their names. The head
/// is left out: it is trained whole. Errors (usage): a target that fits no linear layer, with the nearest name.
std::vector<std::string> add_lora(Module& module, const LoraConfig& config, uint64_t seed);

/// The name of a parameter that add_lora made: *.lora_a, *.lora_b.
bool is_lora_parameter(const std::string& name);

/// `weights`, values of the module's parameters by name, with every adapter merged into its layer's weight and left
/// out. A module without adapters gives them back as they are. Errors: a weight or an adapter is missing.
std::vector<std::pair<std::string, Tensor>> merge_lora(Module& module,
                                                       const std::vector<std::pair<std::string, Tensor>>& weights);

}  // namespace vit
