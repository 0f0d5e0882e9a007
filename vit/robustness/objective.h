// What an attack makes large: a number per picture, from the picture's logits.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace vit {

enum class AttackLoss {
  cross_entropy,  ///< of the true class; targeted: minus that of the target
  /// Difference of logits ratio (Croce & Hein 2020, section 4.2), which neither shifting nor scaling the logits
  /// changes: gradients do not vanish where a model is very sure.
  dlr,
};
const std::vector<std::pair<AttackLoss, std::string>>& enum_names(AttackLoss);

/// What a picture is, and what a targeted attack wants it to be taken for.
struct AttackGoal {
  int64_t label = 0;
  int64_t target = -1;  ///< another class than the label; -1: anything but the label
};

/// Errors (usage): a model with so many classes is too small for the loss: dlr needs 3, targeted 4.
void require_classes(AttackLoss loss, int64_t classes, bool targeted);

/// The class of a row of logits [classes]: the largest, of equal ones the first.
int64_t predicted_class(const float* logits, int64_t classes);

/// Whether an answer is what the attack wants.
bool is_fooled(const float* logits, int64_t classes, const AttackGoal& goal);

/// The objective of a row of logits [classes]; its gradient goes to `d_logits` [classes] unless that is null.
/// Errors (usage): as require_classes.
double attack_objective(AttackLoss loss, const float* logits, int64_t classes, const AttackGoal& goal,
                        float* d_logits = nullptr);

}  // namespace vit
