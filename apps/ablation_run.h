// A running ablation: which variants are trained, which are left, and what came out.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/ablation_config.h"
#include "apps/ablation_results.h"
#include "apps/train_config.h"

namespace vit {
class RunFolder;
}

namespace apps {

struct CommonOptions;

enum class AblationMode {
  go_on,      ///< trained variants are kept, an interrupted one goes on
  overwrite,  ///< everything anew
  measure,    ///< the speeds only; all variants must have been trained
};

class AblationRun {
 public:
  /// Looks at what is there, and builds every variant that is still to be trained and runs a step of it: what cannot
  /// work is refused before anything is trained. Holds the output folder as long as it lives. Errors (usage), naming
  /// the variant: as TrainRun and require_same_run; a folder that holds another run; nothing to measure.
  AblationRun(Ablation ablation, AblationMode mode, const CommonOptions& common);
  ~AblationRun();
  AblationRun(const AblationRun&) = delete;
  AblationRun& operator=(const AblationRun&) = delete;

  /// Trains what is not trained yet. False: stopped by a signal; a new run of the same ablation goes on. A training
  /// that fails is a result, too.
  bool train();
  /// Measures the speeds, all in turns, unless they are known already, and writes the tables and plots.
  void measure();
  /// One for each variant, in their order.
  std::vector<VariantResult> results() const;

 private:
  struct Trial {
    AblationVariant variant;
    std::filesystem::path folder;
    TrainConfig config;
    double memory_mb = kUnknownFigure;
    std::optional<VariantResult> result{};  ///< once it is trained, or failed
    bool is_done() const { return result && result->trained(); }
  };
  void find_finished();
  void check_variants();
  void remove_everything() const;
  bool knows_speeds(const std::vector<VariantResult>& before) const;
  void train(Trial& trial, size_t number);
  bool run_training(const Trial& trial, VariantResult& result);
  std::string time_left() const;

  Ablation ablation_;
  AblationMode mode_;
  const CommonOptions& common_;
  std::vector<Trial> trials_;
  std::unique_ptr<vit::RunFolder> lock_;
  double train_seconds_ = 0.0;
  size_t trained_now_ = 0;
};

}  // namespace apps
