// Trainer: the one loop of all training. Batches in, updates, evaluations, records and checkpoints out; a run that was
// stopped anywhere goes on as if it had not been, to the byte.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vit/train/early_stopping.h"
#include "vit/train/ema.h"
#include "vit/train/monitor.h"
#include "vit/train/optimizer_config.h"
#include "vit/train/schedule.h"
#include "vit/train/task.h"

namespace vit {

class ConfigNode;
class RunFolder;

struct TrainerConfig {
  int64_t seed = 42;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  EmaConfig ema;
  EarlyStoppingConfig early_stopping;
  MonitorConfig monitor;
  std::string eval_metric = "top1";
  int64_t eval_interval = 1;
  int64_t log_interval = 50;
  int64_t checkpoint_interval = 0;
  int64_t keep_checkpoints = 1;
  double max_minutes = 0.0;
  bool plots = true;

  template <class V>
  void visit_fields(V& v) {
    v("seed", seed, "Of everything that is random: start values, order, augmentation, dropout.", at_least(0));
    optimizer.visit_fields(v);
    schedule.visit_fields(v);
    ema.visit_fields(v);
    early_stopping.visit_fields(v);
    v("monitor", monitor, "Measuring attention at evaluations.");
    v("eval_metric", eval_metric,
      "Figure that decides which checkpoint is best; a loss is better when smaller. Detectors: map in place of top1.");
    v("eval_interval", eval_interval, "Epochs between evaluations; the last epoch is always evaluated.", at_least(1));
    v("log_interval", log_interval, "Updates between two lines of metrics.jsonl.", at_least(1));
    v("checkpoint_interval", checkpoint_interval,
      "Updates between checkpoints within an epoch; 0: only at the end of each.", at_least(0));
    v("keep_checkpoints", keep_checkpoints, "Newest checkpoints that are kept, beside the best.", between(1, 1000));
    v("max_minutes", max_minutes, "Above 0: stop after so many minutes, with a checkpoint from which --resume goes on.",
      at_least(0));
    v("plots", plots, "Draw the metrics as pictures, into plots/.");
  }
  /// Errors (usage): as of the parts.
  void validate() const;
  bool metric_decreases() const;
};

/// What a caller may show while a run goes on. Rates and times are the only figures that differ between equal runs.
struct TrainProgress {
  int64_t epoch = 0, epochs = 0;
  int64_t batch = 0, batches = 0;  ///< of the epoch
  int64_t step = 0;                ///< updates done
  int64_t images = 0;              ///< seen since the run was started or resumed
  double loss = 0.0;               ///< of the last batch
  double lr = 0.0;
};

/// One finished epoch.
struct EpochReport {
  int64_t epoch = 0, step = 0;
  double loss = 0.0;  ///< mean over the epoch's pictures, as they were augmented
  double lr = 0.0;    ///< of the epoch's last update
  std::vector<Metric> metrics;
  bool is_best = false;
  double images_per_s = 0.0;  ///< training only
  double waited_share = 0.0;  ///< of the training time spent waiting for data
  double seconds = 0.0;       ///< training and evaluation
};

struct TrainerHooks {
  std::function<void(const TrainProgress&)> on_batch{};
  std::function<void(const EpochReport&)> on_epoch{};
  std::function<void(const std::string&)> on_note{};  ///< things worth a line: "resumed from ...", "early stop"
  std::function<bool()> stop_requested{};             ///< asked after every update: true ends the run with a checkpoint
};

/// How a run ended.
struct TrainResult {
  int64_t epoch = 0, step = 0;
  bool finished = false;  ///< false: stopped early by time or request; --resume goes on
  std::optional<double> best;
  std::string best_checkpoint, last_checkpoint;
};

/// `facts` are texts that a resumed run must find unchanged ("data": a fingerprint), with what to say when they are
/// not. Errors (usage): a checkpoint of another model or configuration. Errors: the loss or a gradient is not finite
/// (the step is named, the last checkpoint stays), the data cannot be used, the disk is full.
TrainResult train(Task& task, BatchSource& source, const TrainerConfig& config, RunFolder& folder,
                  const ConfigNode& resolved, const std::map<std::string, std::string>& facts,
                  const TrainerHooks& hooks = {});

/// What train() would refuse before its first step. Errors (usage): an eval_metric that the task does not have,
/// patterns that fit no parameter, a schedule that cannot be.
void require_trainable(Task& task, const BatchSource& source, const TrainerConfig& config);

/// Bytes that steps of `batch_size` will take on top of the model's weights, extrapolated from steps with one and with
/// two samples of `batch`: activations, gradients, optimizer state and averages.
int64_t estimate_memory(Task& task, const Batch& batch, const TrainerConfig& config, int64_t batch_size);

}  // namespace vit
