// What `vitkit robustness --save` draws of corruptions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "apps/robustness_run.h"
#include "vit/image/plot.h"
#include "vit/models/labels.h"

namespace apps {

/// Keeps a few pictures of every family at one severity, with the model's answers.
class SpoiltPictures {
 public:
  /// `numbers`: of the pictures in the data; `severity`: the one that is drawn.
  SpoiltPictures(std::vector<int64_t> numbers, int64_t severity, const vit::ClassLabels& labels)
      : numbers_(std::move(numbers)), severity_(severity), labels_(labels) {}

  /// A batch's outcome under any condition; clean pictures and those of the severity are kept.
  void see(const Condition& condition, const vit::AttackBatch& batch, const vit::AttackResult& result);

  /// A row for the pictures as they are, and one per family. Undefined where no corruption was seen.
  vit::Image sheet() const;

 private:
  std::vector<int64_t> numbers_;
  int64_t severity_;
  const vit::ClassLabels& labels_;
  std::vector<std::string> rows_;  ///< in the order of the conditions
  std::map<std::string, std::vector<vit::SheetItem>> items_;
};

/// The severity that is drawn: 3, or the one nearest to it that was asked for.
int64_t drawn_severity(const std::vector<int64_t>& severities);

/// Accuracy over severity, the clean one at 0: the means of the groups' families, or with `group` the families of one.
vit::CurvePlot corruption_curves(const std::vector<ConditionResult>& results, const std::string& group = {});

/// Writes accuracy_corruptions.png, accuracy_GROUP.png and pictures_corruptions.png where there is something to draw;
/// their names. Errors: as vit::save_image.
std::vector<std::string> save_corruption_pictures(const std::vector<ConditionResult>& results,
                                                  const SpoiltPictures& pictures, const std::filesystem::path& folder);

}  // namespace apps
