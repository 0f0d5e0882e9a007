// The files of `vitkit robustness --save`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "apps/robustness_corruption_report.h"
#include "apps/robustness_run.h"
#include "vit/image/plot.h"
#include "vit/models/labels.h"

namespace apps {

/// Keeps a few pictures of each condition, to be drawn beside the originals.
class ChangedPictures {
 public:
  /// `numbers`: the data's, of the pictures that may be drawn; those come first that are answered right as they are.
  ChangedPictures(std::vector<int64_t> numbers, const vit::ClassLabels& labels)
      : numbers_(std::move(numbers)), labels_(labels) {}

  /// A batch's outcome under a condition; the clean one comes before all others.
  void see(const Condition& condition, const vit::AttackBatch& batch, const vit::AttackResult& result);

  /// For each picture: as it is, as it became, and the difference, magnified so that its largest value is white or
  /// black. Undefined where nothing was seen of the condition.
  vit::Image sheet(const Condition& condition) const;

 private:
  struct Seen {
    vit::Tensor pixels;  ///< [1, 3, height, width]
    int64_t answer = 0, label = 0;
    double confidence = 0.0;
  };
  std::string caption(const Seen& seen) const;
  std::vector<int64_t> drawn(const std::map<int64_t, Seen>& clean) const;

  std::vector<int64_t> numbers_;
  const vit::ClassLabels& labels_;
  std::map<std::string, std::map<int64_t, Seen>> seen_;  ///< by the condition's title and the picture's number
};

struct RobustnessReport {
  std::string model{}, data{};  ///< as the command was given them
  int64_t images = 0;
  std::vector<Unreadable> unreadable{};
  const std::vector<ConditionResult>& results;
  const ChangedPictures& pictures;
  const SpoiltPictures& spoilt;
  Record corruptions{};  ///< corruption_summary_record(); null without any
};

/// Curves of accuracy over strength, one for each attack: those of attacks that `norm` measures. No series without any.
vit::CurvePlot accuracy_curves(const std::vector<ConditionResult>& results, const std::string& norm);

/// Writes, each whole or not at all:
///   report.json           model, data, "conditions" (condition_record()), "corruptions" (their summary), "unreadable"
///   report.md             the same as a table, with the pictures below
///   conditions.csv        a line per condition
///   accuracy_linf.png, accuracy_l2.png   accuracy over eps, where attacks of that norm ran
///   pictures_NAME.png     originals, changed pictures and differences under each attack at its greatest strength
///   and what save_corruption_pictures() writes
/// Errors: as AtomicFile; the codec module cannot be loaded.
void save_robustness(const RobustnessReport& report, const std::filesystem::path& folder);

}  // namespace apps
