// Exponential moving average of the weights, evaluated in their place: timm's ModelEmaV3.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/core/config.h"
#include "vit/train/named_tensors.h"
#include "vit/train/param_group.h"

namespace vit {

/// timm's options of train.py.
struct EmaConfig {
  bool model_ema = false;
  double model_ema_decay = 0.9998;
  bool model_ema_warmup = false;
  template <class V>
  void visit_fields(V& v) {
    v("model_ema", model_ema, "Keep a moving average of the weights; it is evaluated and kept as the model.");
    v("model_ema_decay", model_ema_decay, "Share of the average that an update keeps.", between(0, 1));
    v("model_ema_warmup", model_ema_warmup, "Start with a small share that grows with the updates.");
  }
};

/// Not thread-safe; works in parallel inside, with the same bits on any number of threads.
class ModelEma {
 public:
  /// Starts as a copy of `parameters` (f32; running statistics may be among them).
  ModelEma(const EmaConfig& config, const std::vector<NamedParameter>& parameters);

  /// Moves the average towards the parameters after update number `updates_done` - 1: average += (1 - decay) * (value -
  /// average). The first update copies. Errors: other parameters than at construction.
  void update(const std::vector<NamedParameter>& parameters, int64_t updates_done);
  /// The decay of that update: with warm-up min(decay, 1 - (1 + n)^(-2/3)), n updates after the first.
  double decay_at(int64_t updates_done) const;

  /// The averages, in the order of the parameters; their memory stays where it is, so that a model may share it.
  const std::vector<Tensor>& averages() const { return averages_; }

  /// Adds the averages under "ema." names; shared, not copied.
  void save(NamedTensors& into) const;
  /// Errors (usage): averages of another model.
  void restore(const NamedTensors& from);

 private:
  EmaConfig config_;
  std::vector<std::string> names_;
  std::vector<Tensor> averages_;
};

}  // namespace vit
