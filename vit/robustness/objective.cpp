#include "vit/robustness/objective.h"

#include <algorithm>
#include <numeric>

#include "vit/core/check.h"
#include "vit/core/softmax.h"

namespace vit {

namespace {

constexpr int64_t kDlrClasses = 3, kDlrClassesTargeted = 4;
constexpr double kDlrEps = 1e-12;  // of Croce & Hein's code: no division by zero where logits are equal

/// -log softmax(z)_c and its gradient times `sign`, added to nothing: d is overwritten.
double cross_entropy(const float* z, int64_t classes, int64_t c, double sign, float* d) {
  const SoftmaxRow softmax(z, classes);
  for (int64_t k = 0; d && k < classes; ++k)
    d[k] = static_cast<float>(sign * (softmax.probability(k) - static_cast<double>(k == c)));
  return -sign * softmax.log_probability(c);
}

/// The classes by falling logit, of equal ones the first first.
std::vector<int64_t> ranking(const float* z, int64_t classes, int64_t count) {
  std::vector<int64_t> order(static_cast<size_t>(classes));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::partial_sort(order.begin(), order.begin() + count, order.end(),
                    [z](int64_t a, int64_t b) { return z[a] > z[b] || (z[a] == z[b] && a < b); });
  return order;
}

/// DLR = -(z_y - max_{i != y} z_i) / (z_1 - z_3), with z_1 >= z_2 >= ... the sorted logits; targeted:
/// -(z_y - z_t) / (z_1 - (z_3 + z_4) / 2).
double difference_of_logits_ratio(const float* z, int64_t classes, const AttackGoal& goal, float* d) {
  const bool targeted = goal.target >= 0;
  const int64_t needed = targeted ? kDlrClassesTargeted : kDlrClasses;
  require_classes(AttackLoss::dlr, classes, targeted);
  const std::vector<int64_t> rank = ranking(z, classes, needed);
  const int64_t other = targeted ? goal.target : rank[0] == goal.label ? rank[1] : rank[0];
  const double lead = static_cast<double>(z[goal.label]) - z[other];
  const double low = targeted ? 0.5 * (static_cast<double>(z[rank[2]]) + z[rank[3]]) : static_cast<double>(z[rank[2]]);
  const double spread = z[rank[0]] - low + kDlrEps;
  if (d) {
    std::vector<double> slope(static_cast<size_t>(classes), 0.0);
    const auto at = [&](int64_t k) -> double& { return slope[static_cast<size_t>(k)]; };
    at(goal.label) -= 1.0 / spread;
    at(other) += 1.0 / spread;
    const double of_spread = lead / (spread * spread);
    at(rank[0]) += of_spread;
    for (int64_t i = 2; i < needed; ++i)
      at(rank[static_cast<size_t>(i)]) -= of_spread / static_cast<double>(needed - 2);
    for (int64_t k = 0; k < classes; ++k) d[k] = static_cast<float>(at(k));
  }
  return -lead / spread;
}

}  // namespace

const std::vector<std::pair<AttackLoss, std::string>>& enum_names(AttackLoss) {
  static const std::vector<std::pair<AttackLoss, std::string>> names = {{AttackLoss::cross_entropy, "ce"},
                                                                        {AttackLoss::dlr, "dlr"}};
  return names;
}

void require_classes(AttackLoss loss, int64_t classes, bool targeted) {
  const int64_t needed = targeted ? kDlrClassesTargeted : kDlrClasses;
  if (loss == AttackLoss::dlr && classes < needed)
    fail_usage("the dlr loss needs ", needed, " classes or more", targeted ? " for a targeted attack" : "",
               ", the model has ", classes, "; cross-entropy has no such need");
}

int64_t predicted_class(const float* logits, int64_t classes) {
  return std::max_element(logits, logits + classes) - logits;
}

bool is_fooled(const float* logits, int64_t classes, const AttackGoal& goal) {
  const int64_t answer = predicted_class(logits, classes);
  return goal.target >= 0 ? answer == goal.target : answer != goal.label;
}

double attack_objective(AttackLoss loss, const float* logits, int64_t classes, const AttackGoal& goal,
                        float* d_logits) {
  check(goal.label >= 0 && goal.label < classes && goal.target < classes, "attack: label ", goal.label, " and target ",
        goal.target, " must be among the model's ", classes, " classes");
  if (loss == AttackLoss::dlr) return difference_of_logits_ratio(logits, classes, goal, d_logits);
  const bool targeted = goal.target >= 0;
  return cross_entropy(logits, classes, targeted ? goal.target : goal.label, targeted ? -1.0 : 1.0, d_logits);
}

}  // namespace vit
