// Which parameter is trained how: weight decay, layer-wise learning rates, rules by name, freezing. As timm's
// param_groups_weight_decay and param_groups_layer_decay (timm/optim/_param_groups.py; the latter after BEiT, Bao et
// al. 2022, appendix), with one entry per parameter instead of lists of groups.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vit/core/tensor.h"
#include "vit/train/optimizer_config.h"

namespace vit {

/// A parameter as training sees it. Tensors share their buffers: an optimizer writes through `value`.
struct NamedParameter {
  std::string name;  ///< dotted, as the module tree has it
  Tensor value;      ///< f32
  Tensor grad;       ///< f32, of the value's shape; undefined: no gradient, and the parameter is left alone
};

/// How one parameter is trained.
struct ParamSettings {
  double lr_scale = 1.0;
  double weight_decay = 0.0;
  bool frozen = false;
  int64_t layer = 0;  ///< from layer_numbers()
};

/// The depth of every parameter, from 0 (tokens, position table, patch embedding) to the head: timm's grouping by
/// group_matcher(). blocks.i is i + 1, the final norm belongs to the last block, everything after it (fc_norm, head)
/// comes last; hierarchical models count stages.i.blocks.j and layers.i.blocks.j in order. Register tokens count as
/// embedding, which timm has forgotten.
std::vector<int64_t> layer_numbers(const std::vector<std::string>& names);

/// Settings for every parameter. Without weight decay are, unless filter_bias_and_bn is off: tensors of one dimension,
/// biases, and pos_embed, cls_token, dist_token, reg_token (the tokens and tables too when only layer_decay is on, as
/// timm). Errors (usage): a pattern that fits no parameter, with the nearest name; everything is frozen.
std::vector<ParamSettings> plan_param_groups(const std::vector<NamedParameter>& parameters,
                                             const OptimizerConfig& config);

/// Parameters that share their settings, for printing.
struct ParamGroup {
  ParamSettings settings;
  std::vector<std::string> names;
  int64_t elements = 0;
};
/// In the order of the first parameter of each.
std::vector<ParamGroup> summarise_groups(const std::vector<NamedParameter>& parameters,
                                         const std::vector<ParamSettings>& settings);

/// The parameter belongs to a classifier's head: head.*, head_dist.* (timm).
inline bool is_head_parameter(const std::string& name) { return name.starts_with("head"); }

/// The name fits a pattern as ParamRule describes it.
bool matches_pattern(const std::string& name, const std::string& pattern);

}  // namespace vit
