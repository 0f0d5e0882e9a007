// The parts of AutoPGD that stand in the paper by themselves: when it looks back, and when it halves its step.
// Source: Croce, Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
// attacks", section 3.
#pragma once

#include <cstdint>
#include <vector>

namespace vit {

/// The iterations at which AutoPGD looks back: w_j = ceil(p_j * steps), p_0 = 0, p_1 = 0.22, p_{j+1} = p_j + max(p_j -
/// p_{j-1} - 0.03, 0.06), as long as p_j <= 1; each once. 100 -> 0, 22, 41, 57, 70, 80, 87, 93, 99.
std::vector<int64_t> auto_pgd_checkpoints(int64_t steps);

/// One picture's search as the step's rule sees it.
class StepRule {
 public:
  explicit StepRule(double step, double first_objective)
      : step_(step), last_(first_objective), best_(first_objective) {}

  /// The objective after one more iteration.
  void saw(double objective);
  /// At a checkpoint: whether the step is halved (and the search goes back to its best point), because fewer than 0.75
  /// of the iterations since the last checkpoint rose, or because neither the step nor the best objective has changed
  /// since the last one.
  bool halve_at_checkpoint();

  double step() const { return step_; }
  double best() const { return best_; }

 private:
  double step_, last_, best_;
  int64_t rises_ = 0, iterations_ = 0;
  bool halved_last_ = true;  // the first checkpoint has none before it
  double best_at_last_ = 0.0;
};

}  // namespace vit
