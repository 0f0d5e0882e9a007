// One training run, from its configuration to its end: what `vitkit train` does once and `vitkit ablate` for each
// variant.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "apps/train_config.h"
#include "apps/train_setup.h"
#include "vit/train/run_folder.h"
#include "vit/train/trainer.h"

namespace apps {

struct CommonOptions;

/// Refuses to go on with the run in `folder`, if there is one, under another configuration than its own. Keys that
/// change when a run ends or what it keeps, not what it computes up to there, may differ.
/// Errors (usage): the keys that differ, after `prefix`.
void require_same_run(const std::string& prefix, const std::filesystem::path& folder, const vit::ConfigNode& resolved);

struct RunHooks {
  /// The run's folder is held, nothing is trained yet; `is_new`: the folder had no run.
  std::function<void(bool is_new)> on_start{};
  vit::TrainerHooks trainer{};  ///< notes and stop signals are seen to
};

class TrainRun {
 public:
  /// Opens data, builds the model, and refuses what cannot be trained or does not fit into memory. Nothing is written.
  /// Errors (usage): as prepare_training, require_trainable; too little memory, with the figure.
  TrainRun(const TrainConfig& config, const CommonOptions& common);
  TrainRun(const TrainRun&) = delete;
  TrainRun& operator=(const TrainRun&) = delete;

  /// The whole configuration, with every default.
  const vit::ConfigNode& resolved() const { return resolved_; }
  const TrainSetup& setup() const { return setup_; }
  const TrainConfig& config() const { return config_; }
  /// Bytes that a training step takes beside the weights, about.
  int64_t step_memory() const { return step_memory_; }

  /// Trains in the configuration's output folder; a stop signal ends it. Errors: as RunFolder, require_same_run,
  /// vit::train.
  vit::TrainResult train(vit::RunMode mode, RunHooks hooks);

 private:
  const CommonOptions& common_;
  TrainConfig config_;
  TrainSetup setup_;
  vit::ConfigNode resolved_;
  int64_t step_memory_ = 0;
};

/// "top1 82.50 %", "val loss 0.6931": fractions are percent for people.
std::string metric_text(const std::string& name, double value);

}  // namespace apps
