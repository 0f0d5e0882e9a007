// Stops a run whose metric has not improved for a while.
#pragma once

#include <cstdint>

#include "vit/core/config.h"
#include "vit/core/tensor.h"

namespace vit {

struct EarlyStoppingConfig {
  int64_t patience = 0;
  double min_delta = 0.0;
  template <class V>
  void visit_fields(V& v) {
    v("patience", patience, "Evaluations without improvement after which the run ends; 0: never.", at_least(0));
    v("min_delta", min_delta, "Smallest difference that counts as an improvement.", at_least(0));
  }
};

/// Also what knows the best value: train until should_stop(), keep the checkpoint when update() says that it is the
/// best.
class EarlyStopping {
 public:
  explicit EarlyStopping(const EarlyStoppingConfig& config, bool metric_decreases = false);

  /// Takes the metric of one evaluation; true when it is the best so far (min_delta does not count here: any better
  /// value is the best). NaN never is.
  bool update(double metric);
  bool should_stop() const { return config_.patience > 0 && bad_checks_ >= config_.patience; }
  /// Infinite (worse than anything) before the first value.
  double best() const { return best_; }

  /// As an f64 tensor: restore(state()) continues bit-exactly. Errors of restore (usage): another tensor.
  Tensor state() const;
  void restore(const Tensor& state);

 private:
  EarlyStoppingConfig config_;
  bool metric_decreases_;
  double best_;       // of all
  double reference_;  // what an improvement is measured against
  int64_t bad_checks_ = 0;
};

}  // namespace vit
