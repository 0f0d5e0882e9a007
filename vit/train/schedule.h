// Learning-rate schedules as timm 1.0 has them (timm/scheduler/): cosine with restarts (Loshchilov & Hutter 2017,
// "SGDR", section 3), tanh (Hsueh et al. 2019), polynomial, step, multi-step and plateau, with linear warm-up and
// k-decay (Zhang & Li 2020), and `constant`. The arithmetic repeats timm's operation for operation, so that a schedule
// of a paper's recipe is that recipe's to the last digits. Non-goals: noise on the rate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/core/config.h"
#include "vit/core/tensor.h"

namespace vit {

enum class ScheduleKind { cosine, tanh, poly, step, multistep, plateau, constant };
const std::vector<std::pair<ScheduleKind, std::string>>& enum_names(ScheduleKind);

/// A schedule in its own units `t`: epochs, or optimizer updates. Fields and defaults are those of timm's classes,
/// except that warmup_prefix of StepLRScheduler and MultiStepLRScheduler defaults to true there.
struct ScheduleSpec {
  ScheduleKind kind = ScheduleKind::cosine;
  double base_lr = 1e-3;
  double lr_min = 0.0;
  // Warm-up: linear from warmup_lr_init at t = 0 to the base rate at t = warmup_t.
  int64_t warmup_t = 0;
  double warmup_lr_init = 0.0;
  bool warmup_prefix = false;  ///< The schedule starts after the warm-up; else it runs from t = 0 and is hidden by it.
  // cosine, tanh, poly
  int64_t t_initial = 1;     ///< Length of the first cycle.
  double cycle_mul = 1.0;    ///< Each cycle is so many times as long as the one before.
  double cycle_decay = 1.0;  ///< Each cycle starts at so many times the rate of the one before.
  int64_t cycle_limit = 1;   ///< Cycles; then lr_min.
  double k_decay = 1.0;      ///< Exponent on time (cosine, poly).
  double power = 0.5;        ///< poly
  double tanh_lower = -7.0;  ///< tanh: argument at the start of a cycle
  double tanh_upper = 3.0;   ///< tanh: argument at its end
  // step, multistep, plateau
  double decay_rate = 1.0;
  double decay_t = 90.0;                    ///< step: interval
  std::vector<int64_t> decay_milestones{};  ///< multistep: ascending; m applies from t = m - 1
  int64_t patience_t = 10;                  ///< plateau: checks without improvement that are tolerated
  int64_t cooldown_t = 0;                   ///< plateau: checks after a decay that do not count
  double threshold = 1e-4;                  ///< plateau: relative improvement that counts
  bool metric_decreases = false;            ///< plateau: smaller is better (a loss)

  /// Errors: t_initial < 1, negative rates or times, tanh_lower >= tanh_upper, milestones that do not ascend.
  void validate() const;
};

/// The rate at time t >= 0: `_get_lr` of timm's class. Errors: plateau, whose rate depends on what was measured.
double scheduled_lr(const ScheduleSpec& spec, int64_t t);

/// Units until the last cycle ends (`get_cycle_length`). Errors: a kind without cycles.
int64_t cycle_length(const ScheduleSpec& spec);

/// timm's options of train.py, flat.
struct ScheduleConfig {
  ScheduleKind sched = ScheduleKind::cosine;
  int64_t epochs = 300;
  bool sched_on_updates = false;
  int64_t warmup_epochs = 5;
  double warmup_lr = 1e-5;
  bool warmup_prefix = false;
  int64_t cooldown_epochs = 0;
  double min_lr = 0.0;
  double lr_cycle_mul = 1.0;
  double lr_cycle_decay = 0.5;
  int64_t lr_cycle_limit = 1;
  double lr_k_decay = 1.0;
  double decay_epochs = 90.0;
  std::vector<int64_t> decay_milestones = {90, 180, 270};
  double decay_rate = 0.1;
  int64_t patience_epochs = 10;

  template <class V>
  void visit_fields(V& v) {
    v("sched", sched, "Learning-rate schedule.");
    v("epochs", epochs, "Epochs of the schedule's first cycle; warm-up with warmup_prefix and cool-down come on top.",
      between(1, 1e6));
    v("sched_on_updates", sched_on_updates, "Change the rate after every update instead of every epoch.");
    v("warmup_epochs", warmup_epochs, "Epochs in which the rate rises linearly from warmup_lr to lr.", between(0, 1e6));
    v("warmup_lr", warmup_lr, "Rate at the start of the warm-up.", at_least(0));
    v("warmup_prefix", warmup_prefix, "The schedule starts after the warm-up instead of beneath it.");
    v("cooldown_epochs", cooldown_epochs, "Epochs at min_lr after the last cycle (cosine, tanh, poly).",
      between(0, 1e6));
    v("min_lr", min_lr, "Lowest rate (cosine, tanh, poly, plateau).", at_least(0));
    v("lr_cycle_mul", lr_cycle_mul, "Each cycle is so many times as long as the one before.", above(0));
    v("lr_cycle_decay", lr_cycle_decay, "Each cycle starts at so many times the rate of the one before.", at_least(0));
    v("lr_cycle_limit", lr_cycle_limit, "Number of cycles.", between(1, 1e6));
    v("lr_k_decay", lr_k_decay, "Exponent on the time within a cycle (cosine, poly).", above(0));
    v("decay_epochs", decay_epochs, "Epochs between two decays (step).", above(0));
    v("decay_milestones", decay_milestones, "Epochs (from 1) in which the rate decays (multistep).", at_least(0));
    v("decay_rate", decay_rate, "Factor of a decay (step, multistep, plateau); the power of poly.", at_least(0));
    v("patience_epochs", patience_epochs, "Epochs without improvement before a decay (plateau).", at_least(0));
  }
  /// Errors: plateau on updates; cycles that shrink to nothing; milestones that do not ascend.
  void validate() const;
};

/// The rate of a run as it goes: timm's create_scheduler_v2, step and step_update. Not thread-safe.
class LrSchedule {
 public:
  /// `updates_per_epoch` counts optimizer updates (after gradient accumulation). `metric_decreases` belongs to the
  /// metric that finish_epoch is given. Errors: as the validate() of both structs; updates_per_epoch < 1.
  LrSchedule(const ScheduleConfig& config, double base_lr, int64_t updates_per_epoch, bool metric_decreases = false);
  /// A schedule of its own units; `on_updates` says which of the two calls below moves it.
  explicit LrSchedule(ScheduleSpec spec, bool on_updates = false);

  /// The rate for the next update.
  double lr() const { return lr_; }
  /// Call after epoch number `epochs_done` - 1, with what was measured, if anything (plateau needs it).
  /// Errors: plateau without a metric.
  void finish_epoch(int64_t epochs_done, std::optional<double> metric = {});
  /// Call after the update number `updates_done` - 1, counted over all epochs.
  void finish_update(int64_t updates_done);

  /// Epochs of the whole run: cycles, prefixed warm-up and cool-down included. Schedules made from a spec: its length
  /// in its own units (0 for kinds without cycles).
  int64_t epochs() const { return epochs_; }
  const ScheduleSpec& spec() const { return spec_; }

  /// All that changes, as an f64 tensor: restore(state()) continues bit-exactly.
  Tensor state() const;
  /// Errors (usage): not a tensor from state().
  void restore(const Tensor& state);

 private:
  void check_plateau(double metric);

  ScheduleSpec spec_;
  bool on_updates_ = false;
  int64_t epochs_ = 0;
  double lr_ = 0.0;
  double best_ = 0.0;  // plateau
  int64_t bad_checks_ = 0;
  int64_t cooldown_left_ = 0;
};

}  // namespace vit
