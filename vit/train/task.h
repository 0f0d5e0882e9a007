// Task: what a training run trains and how it is judged. Classification, detection and captioning each are one; the
// trainer knows nothing else of them.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "vit/autograd/var.h"
#include "vit/core/context.h"
#include "vit/train/batch.h"

namespace vit {

class Module;

/// A figure of a run and its name: "top1", "loss".
using Metric = std::pair<std::string, double>;

/// What a figure of evaluate() is called in records, where the training's own loss stands beside it.
inline std::string record_name(const std::string& metric) { return metric == "loss" ? "val_loss" : metric; }

class Task {
 public:
  virtual ~Task() = default;

  /// What is trained. The trainer makes leaves of its parameters and writes to them.
  virtual Module& module() = 0;

  /// An epoch begins, or a run goes on within it; `share`: the part of the run that is behind when it begins, 0 in the
  /// first epoch and 1 in the last. For what changes with time.
  virtual void start_epoch(double /*share*/) {}

  /// The mean loss of a batch, [1]. Errors: a batch that does not go with the model.
  virtual Var loss(Context& ctx, const Batch& batch) = 0;

  /// Figures on held-out data, with the module's present weights; empty when there are none.
  virtual std::vector<Metric> evaluate() = 0;

  /// The names that evaluate() will give, where they are known before: a wrong `eval_metric` is then refused at once.
  virtual std::vector<std::string> metric_names() const { return {}; }

  /// Runs the model, as it is used, on the first `pictures` held-out pictures (the same at every call) for the
  /// context's observer; false when there are none.
  virtual bool probe(Context& /*ctx*/, int64_t /*pictures*/) { return false; }

  /// Further files of a checkpoint beside the weights, by name: config.json and what makes it usable as --model.
  virtual std::map<std::string, std::string> checkpoint_files() = 0;

  /// The weights of a checkpoint as --model reads them, from those of the module (LoRA is merged here).
  virtual std::vector<std::pair<std::string, Tensor>> exported(
      const std::vector<std::pair<std::string, Tensor>>& weights) {
    return weights;
  }
};

}  // namespace vit
