// The attacks that `vitkit robustness` was asked for, as conditions: one for each attack and strength.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "apps/robustness_options.h"
#include "apps/robustness_run.h"
#include "vit/models/labels.h"

namespace apps {

/// Adds --attack, --eps, --norm, --steps and what else is about attacks.
void add_attack_options(CLI::App& command, RobustnessOptions& options);

/// A number, or a fraction such as 8/255. Errors (usage): neither; `option` is named.
double parse_fraction(const std::string& option, const std::string& text);

/// One condition per attack and strength, in the order given. All options are checked here, before any picture is read.
/// `target` and `labels` outlive them; `sample` is a picture of the size that the model takes, [1, 3, height, width].
/// Errors (usage): an unknown attack (the known are listed), one that does not apply to the model (with those that do),
/// an eps of zero or less or beyond one, steps or lengths that make no search, a target class that the model does not
/// have.
std::vector<Condition> attack_conditions(const RobustnessOptions& options, const CommonOptions& common,
                                         const vit::AttackTarget& target, const vit::ClassLabels& labels,
                                         const vit::Tensor& sample);

}  // namespace apps
