// The options of optimisation under timm's flat names (train.py, create_optimizer_v2): which update rule, how gradients
// are clipped, and which parameters are treated in a way of their own.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/core/config.h"

namespace vit {

/// What `clip_grad` bounds.
enum class ClipMode {
  norm,   ///< the norm of all gradients together (torch.nn.utils.clip_grad_norm_)
  value,  ///< every element (clip_grad_value_)
  agc,    ///< each output unit's norm, relative to its weight's (Brock et al. 2021, "High-Performance ...", eq. 3)
};
const std::vector<std::pair<ClipMode, std::string>>& enum_names(ClipMode);

/// Parameters by name, and what is different about them. A pattern is a glob on the dotted name (`*` crosses dots) or
/// on a leading part of it that ends at a dot: "blocks.1" means blocks.1.* and not blocks.10.*. Of several rules that
/// fit, the last that says something counts.
struct ParamRule {
  std::string pattern;
  std::optional<double> lr_scale;
  std::optional<double> weight_decay;
  template <class V>
  void visit_fields(V& v) {
    v("pattern", pattern, "Glob on the parameters' names, or a module's name.");
    v("lr_scale", lr_scale, "Factor on the learning rate, on top of layer_decay's.", at_least(0));
    v("weight_decay", weight_decay, "Weight decay in place of the general one.", at_least(0));
  }
  /// Errors: no pattern.
  void validate() const;
};

struct OptimizerConfig {
  std::string opt = "adamw";
  double lr = 1e-3;
  double momentum = 0.9;
  double weight_decay = 0.05;
  std::optional<std::array<double, 2>> opt_betas;
  std::optional<double> opt_eps;
  std::optional<double> clip_grad;
  ClipMode clip_mode = ClipMode::norm;
  std::optional<double> layer_decay;
  double layer_decay_min_scale = 0.0;
  int64_t grad_accum_steps = 1;
  bool filter_bias_and_bn = true;
  std::vector<ParamRule> param_groups;
  std::vector<std::string> freeze;

  template <class V>
  void visit_fields(V& v) {
    v("opt", opt, "Update rule: adamw, sgd (Nesterov), momentum, lamb, lambc, lambw, lion.");
    v("lr", lr, "Learning rate.", above(0));
    v("momentum", momentum, "Momentum (sgd, momentum).", between(0, 1));
    v("weight_decay", weight_decay, "Weight decay.", at_least(0));
    v("opt_betas", opt_betas, "Decay of the running averages; none: the rule's own (0.9, 0.999; lion 0.9, 0.99).",
      between(0, 1));
    v("opt_eps", opt_eps, "Term in the denominator; none: the rule's own (adamw 1e-8, lamb 1e-6).", above(0));
    v("clip_grad", clip_grad, "Bound on the gradients; none: not clipped.", above(0));
    v("clip_mode", clip_mode, "What the bound is on.");
    v("layer_decay", layer_decay, "Factor on the learning rate per layer from the head down; none: the same for all.",
      between(0, 1));
    v("layer_decay_min_scale", layer_decay_min_scale, "Lowest factor that layer_decay leads to.", between(0, 1));
    v("grad_accum_steps", grad_accum_steps, "Batches whose gradients make one update.", between(1, 1e6));
    v("filter_bias_and_bn", filter_bias_and_bn, "No weight decay on biases, norms, tokens and position tables.");
    v("param_groups", param_groups, "Parameters with a rate or decay of their own.");
    v("freeze", freeze, "Parameters that stay as they are: globs or module names.");
  }
  /// Errors: an unknown rule; a beta of 1.
  void validate() const;
};

}  // namespace vit
