#include "vit/train/early_stopping.h"

#include <limits>

namespace vit {

EarlyStopping::EarlyStopping(const EarlyStoppingConfig& config, bool metric_decreases)
    : config_(config),
      metric_decreases_(metric_decreases),
      best_(metric_decreases ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity()),
      reference_(best_) {}

bool EarlyStopping::update(double metric) {
  const bool improved =
      metric_decreases_ ? metric < reference_ - config_.min_delta : metric > reference_ + config_.min_delta;
  bad_checks_ = improved ? 0 : bad_checks_ + 1;
  if (improved) reference_ = metric;
  const bool is_best = metric_decreases_ ? metric < best_ : metric > best_;
  if (is_best) best_ = metric;
  return is_best;
}

Tensor EarlyStopping::state() const {
  return Tensor::from<double>({best_, reference_, static_cast<double>(bad_checks_)}, {3});
}

void EarlyStopping::restore(const Tensor& state) {
  if (!state.defined() || state.dtype() != DType::f64 || !(state.shape() == Shape{3}))
    fail_usage("early stopping: the saved state is not its own");
  const double* values = state.data<double>();
  best_ = values[0];
  reference_ = values[1];
  bad_checks_ = static_cast<int64_t>(values[2]);
}

}  // namespace vit
