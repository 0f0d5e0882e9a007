#include "vit/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace vit {

namespace {

constexpr double kPlateauEps = 1e-8;  // torch's ReduceLROnPlateau does not bother with smaller changes

bool has_cycles(ScheduleKind kind) {
  return kind == ScheduleKind::cosine || kind == ScheduleKind::tanh || kind == ScheduleKind::poly;
}

void require_ascending(const std::vector<int64_t>& milestones) {
  if (!std::is_sorted(milestones.begin(), milestones.end())) fail_usage("decay_milestones must ascend");
}

/// Where t lies: in which cycle, how far into it, and how long it is.
struct CyclePosition {
  double index;
  double t;
  double length;
};

/// Cycle i starts at t_initial * (1 - cycle_mul^i) / (1 - cycle_mul).
CyclePosition find_cycle(const ScheduleSpec& spec, int64_t t) {
  const double length = static_cast<double>(spec.t_initial);
  if (spec.cycle_mul == 1.0) {
    const int64_t index = t / spec.t_initial;
    return {static_cast<double>(index), static_cast<double>(t - spec.t_initial * index), length};
  }
  const double shrink = 1.0 - static_cast<double>(t) / length * (1.0 - spec.cycle_mul);
  // Cycles that shrink have an end: beyond it there is none, whatever the limit.
  if (shrink <= 0.0) return {std::numeric_limits<double>::infinity(), 0.0, length};
  const double index = std::floor(std::log(shrink) / std::log(spec.cycle_mul));
  const double scale = std::pow(spec.cycle_mul, index);
  const double start = (1.0 - scale) / (1.0 - spec.cycle_mul) * length;
  // Rounding may put the start of a cycle just after t.
  return {index, std::max(static_cast<double>(t) - start, 0.0), scale * length};
}

double cyclic_lr(const ScheduleSpec& spec, int64_t t) {
  const CyclePosition at = find_cycle(spec, t);
  if (at.index >= static_cast<double>(spec.cycle_limit)) return spec.lr_min;
  const double span = spec.base_lr * std::pow(spec.cycle_decay, at.index) - spec.lr_min;
  const double k = spec.k_decay;
  if (spec.kind == ScheduleKind::cosine) {
    const double angle = std::numbers::pi * std::pow(at.t, k) / std::pow(at.length, k);
    return spec.lr_min + 0.5 * span * (1.0 + std::cos(angle));
  }
  if (spec.kind == ScheduleKind::poly) {
    const double left = std::max(1.0 - std::pow(at.t, k) / std::pow(at.length, k), 0.0);
    return spec.lr_min + span * std::pow(left, spec.power);
  }
  const double share = at.t / at.length;
  return spec.lr_min + 0.5 * span * (1.0 - std::tanh(spec.tanh_lower * (1.0 - share) + spec.tanh_upper * share));
}

/// Whole intervals before t, exact for intervals that are no integers too (Python's floor division).
double decays_before(double t, double interval) { return std::round((t - std::fmod(t, interval)) / interval); }

/// The schedule without its warm-up; t counts from its own start.
double lr_after_warmup(const ScheduleSpec& spec, int64_t t) {
  switch (spec.kind) {
    case ScheduleKind::cosine:
    case ScheduleKind::tanh:
    case ScheduleKind::poly:
      return cyclic_lr(spec, t);
    case ScheduleKind::step:
      return spec.base_lr * std::pow(spec.decay_rate, decays_before(static_cast<double>(t), spec.decay_t));
    case ScheduleKind::multistep: {
      // As timm, and unlike torch: the rate of milestone m applies from t = m - 1.
      const auto passed = std::upper_bound(spec.decay_milestones.begin(), spec.decay_milestones.end(), t + 1);
      return spec.base_lr * std::pow(spec.decay_rate, static_cast<double>(passed - spec.decay_milestones.begin()));
    }
    case ScheduleKind::constant:
      return spec.base_lr;
    case ScheduleKind::plateau:
      break;
  }
  fail("scheduled_lr: the rate of a plateau schedule depends on what was measured");
}

/// Rise of the rate per unit of warm-up.
double warmup_slope(const ScheduleSpec& spec) {
  double goal = spec.base_lr;
  // timm's tanh alone aims at where the schedule will be; the others jump there.
  if (spec.kind == ScheduleKind::tanh && !spec.warmup_prefix) goal = lr_after_warmup(spec, spec.warmup_t);
  return (goal - spec.warmup_lr_init) / static_cast<double>(spec.warmup_t);
}

double warmup_lr(const ScheduleSpec& spec, int64_t t) {
  return spec.warmup_lr_init + static_cast<double>(t) * warmup_slope(spec);
}

/// The configuration in the schedule's units.
ScheduleSpec spec_of(const ScheduleConfig& config, double base_lr, int64_t updates_per_epoch, bool metric_decreases) {
  config.validate();
  check(updates_per_epoch >= 1, "schedule: an epoch needs at least one update, got ", updates_per_epoch);
  const int64_t unit = config.sched_on_updates ? updates_per_epoch : 1;
  ScheduleSpec spec;
  spec.kind = config.sched;
  spec.base_lr = base_lr;
  spec.lr_min = config.min_lr;
  spec.warmup_t = config.warmup_epochs * unit;
  spec.warmup_lr_init = config.warmup_lr;
  spec.warmup_prefix = config.warmup_prefix;
  spec.t_initial = config.epochs * unit;
  spec.cycle_mul = config.lr_cycle_mul;
  spec.cycle_decay = config.lr_cycle_decay;
  spec.cycle_limit = config.lr_cycle_limit;
  spec.k_decay = config.lr_k_decay;
  spec.power = config.decay_rate;  // as timm: the one option has two meanings
  spec.decay_rate = config.decay_rate;
  spec.decay_t = config.decay_epochs * static_cast<double>(unit);
  for (const int64_t milestone : config.decay_milestones) spec.decay_milestones.push_back(milestone * unit);
  spec.patience_t = config.patience_epochs;
  spec.metric_decreases = metric_decreases;
  return spec;
}

int64_t total_epochs(const ScheduleConfig& config, const ScheduleSpec& spec, int64_t updates_per_epoch) {
  if (!has_cycles(spec.kind)) return config.epochs + (config.warmup_prefix ? config.warmup_epochs : 0);
  const int64_t unit = config.sched_on_updates ? updates_per_epoch : 1;
  return (cycle_length(spec) + config.cooldown_epochs * unit) / unit;
}

}  // namespace

const std::vector<std::pair<ScheduleKind, std::string>>& enum_names(ScheduleKind) {
  static const std::vector<std::pair<ScheduleKind, std::string>> names = {
      {ScheduleKind::cosine, "cosine"},    {ScheduleKind::tanh, "tanh"},           {ScheduleKind::poly, "poly"},
      {ScheduleKind::step, "step"},        {ScheduleKind::multistep, "multistep"}, {ScheduleKind::plateau, "plateau"},
      {ScheduleKind::constant, "constant"}};
  return names;
}

void ScheduleSpec::validate() const {
  const auto is_rate = [](double value) { return value >= 0.0 && std::isfinite(value); };
  if (!is_rate(base_lr) || !is_rate(lr_min) || !is_rate(warmup_lr_init) || !is_rate(decay_rate))
    fail_usage("schedule: rates must be finite and not negative");
  if (t_initial < 1) fail_usage("schedule: a cycle must last at least 1, got ", t_initial);
  if (warmup_t < 0 || patience_t < 0 || cooldown_t < 0) fail_usage("schedule: times must not be negative");
  if (!(cycle_mul > 0.0) || !(k_decay > 0.0) || !(decay_t > 0.0))
    fail_usage("schedule: cycle_mul, k_decay and decay_t must be above 0");
  if (!(tanh_lower < tanh_upper)) fail_usage("schedule: tanh_lower must be below tanh_upper");
  require_ascending(decay_milestones);
}

void ScheduleConfig::validate() const {
  if (sched == ScheduleKind::plateau && sched_on_updates)
    fail_usage("sched: plateau looks at a metric after each epoch; sched_on_updates must be false");
  require_ascending(decay_milestones);
}

double scheduled_lr(const ScheduleSpec& spec, int64_t t) {
  check(t >= 0, "scheduled_lr: time must not be negative, got ", t);
  if (t < spec.warmup_t) return warmup_lr(spec, t);
  return lr_after_warmup(spec, spec.warmup_prefix ? t - spec.warmup_t : t);
}

int64_t cycle_length(const ScheduleSpec& spec) {
  check(has_cycles(spec.kind), "cycle_length: this kind of schedule has no cycles");
  const int64_t cycles = std::max<int64_t>(1, spec.cycle_limit);
  int64_t length = spec.t_initial * cycles;
  if (spec.cycle_mul != 1.0) {
    const double grown = std::pow(spec.cycle_mul, static_cast<double>(cycles)) - 1.0;
    const double exact = std::floor(-static_cast<double>(spec.t_initial) * grown / (1.0 - spec.cycle_mul));
    if (!(exact < 1e15)) fail_usage("lr_cycle_mul, lr_cycle_limit: the cycles together are too long (", exact, ")");
    length = static_cast<int64_t>(exact);
  }
  return length + (spec.warmup_prefix ? spec.warmup_t : 0);
}

LrSchedule::LrSchedule(const ScheduleConfig& config, double base_lr, int64_t updates_per_epoch, bool metric_decreases)
    : LrSchedule(spec_of(config, base_lr, updates_per_epoch, metric_decreases), config.sched_on_updates) {
  epochs_ = total_epochs(config, spec_, updates_per_epoch);
}

LrSchedule::LrSchedule(ScheduleSpec spec, bool on_updates) : spec_(std::move(spec)), on_updates_(on_updates) {
  spec_.validate();
  epochs_ = has_cycles(spec_.kind) ? cycle_length(spec_) : 0;
  lr_ = spec_.warmup_t > 0 ? spec_.warmup_lr_init : spec_.base_lr;
  best_ = spec_.metric_decreases ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity();
}

void LrSchedule::finish_epoch(int64_t epochs_done, std::optional<double> metric) {
  if (on_updates_) return;
  if (spec_.kind != ScheduleKind::plateau) {
    lr_ = scheduled_lr(spec_, epochs_done);
  } else if (spec_.warmup_t > 0 && epochs_done <= spec_.warmup_t) {
    lr_ = warmup_lr(spec_, epochs_done);
  } else {
    check(metric.has_value(), "schedule: plateau needs a metric after every epoch; evaluate each epoch");
    check_plateau(*metric);
  }
}

void LrSchedule::finish_update(int64_t updates_done) {
  if (on_updates_) lr_ = scheduled_lr(spec_, updates_done);
}

/// torch.optim.lr_scheduler.ReduceLROnPlateau.step with threshold_mode "rel".
void LrSchedule::check_plateau(double metric) {
  const bool better =
      spec_.metric_decreases ? metric < best_ * (1.0 - spec_.threshold) : metric > best_ * (spec_.threshold + 1.0);
  if (better) {
    best_ = metric;
    bad_checks_ = 0;
  } else {
    ++bad_checks_;
  }
  if (cooldown_left_ > 0) {
    --cooldown_left_;
    bad_checks_ = 0;
  }
  if (bad_checks_ <= spec_.patience_t) return;
  const double lower = std::max(lr_ * spec_.decay_rate, spec_.lr_min);
  if (lr_ - lower > kPlateauEps) lr_ = lower;
  cooldown_left_ = spec_.cooldown_t;
  bad_checks_ = 0;
}

Tensor LrSchedule::state() const {
  return Tensor::from<double>({lr_, best_, static_cast<double>(bad_checks_), static_cast<double>(cooldown_left_)}, {4});
}

void LrSchedule::restore(const Tensor& state) {
  if (!state.defined() || state.dtype() != DType::f64 || !(state.shape() == Shape{4}))
    fail_usage("schedule: the saved state is not one of a schedule");
  const double* values = state.data<double>();
  lr_ = values[0];
  best_ = values[1];
  bad_checks_ = static_cast<int64_t>(values[2]);
  cooldown_left_ = static_cast<int64_t>(values[3]);
}

}  // namespace vit
