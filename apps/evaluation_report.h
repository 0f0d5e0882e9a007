// What `vitkit evaluate` says: figures as records and as text, and the files of --save.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/output.h"
#include "apps/pictures.h"
#include "apps/report.h"
#include "datasets/class_mapping.h"
#include "datasets/classification_report.h"

namespace vit {
class ClassLabels;
}

namespace apps {

/// An evaluation with all that a report names. The references outlive it.
struct Evaluation {
  std::string model{}, data{};            ///< as the command was given them
  const std::vector<std::string>& names;  ///< of the data's classes
  const vit::ClassLabels& labels;         ///< of the model's classes
  const datasets::ClassMapping& mapping;  ///< from the first to the second
  datasets::ClassificationReport report;
  PictureCounts counts{};
  std::vector<Unreadable> unreadable{};
  double seconds = 0.0;
};

/// {"model", "data", "images", "errors", "classes", "mapping", "top1", "top5", "loss", "ece", "mce", "confidence",
/// "balanced_top1", "macro_f1", "images_per_s"}; fractions, null where nothing was counted.
Record summary_record(const Evaluation& evaluation);
/// The same in two lines, in percent; no line break at the end.
std::string summary_text(const Evaluation& evaluation);

/// One per class of the data, in its order: {"class", "label", "index", "pictures", "top1", "top5", "precision",
/// "recall", "f1", "mistaken_for", "mistakes"}. null: not defined (nothing was taken for the class, say).
std::vector<Record> class_records(const Evaluation& evaluation);
/// A table of these. `limit` above 0: of more classes only those with the lowest top-1.
std::string class_table(const Evaluation& evaluation, int64_t limit);
/// A class of the data under the name that people read: the model's where the data's is a synset.
std::string shown_name(const Evaluation& evaluation, size_t label);

/// One per bin of confidence, rising: {"from", "to", "pictures", "confidence", "accuracy"}.
std::vector<Record> reliability_records(const Evaluation& evaluation);

/// Writes, each whole or not at all:
///   report.json      the summary, "per_class", "reliability", "unreadable"
///   per_class.csv    the class records
///   confusion.csv    rows: true classes; columns: predicted ones, and further classes of the model that were
///   predicted.
///                    Above kMaxMatrixClasses classes: rows of true class, predicted class and count
///   confusion.png    the same; predictions of further classes are one column, "(others)". Up to kMaxMatrixClasses
///   reliability.png  accuracy by confidence
/// Errors: as AtomicFile; the codec module cannot be loaded.
void save_evaluation(const Evaluation& evaluation, const std::filesystem::path& folder);
inline constexpr int64_t kMaxMatrixClasses = 1000;

}  // namespace apps
