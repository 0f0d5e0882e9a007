// What `vitkit evaluate` says of a detector: COCO's figures as records and as text, and the files of --save.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/output.h"
#include "apps/report.h"
#include "detection/coco_eval.h"

namespace apps {

/// An evaluation with all that a report names.
struct DetectionEvaluation {
  std::string source_key{}, source{};  ///< "model" or "detections", as the command was given it
  std::string data{};
  std::string mapping{};  ///< how the model's classes became the data's
  detection::CocoTruth truth{};
  std::vector<detection::CocoDetection> detections{};
  std::vector<std::string> unknown_classes{};  ///< of the data, which the model does not know: in no figure
  std::vector<Unreadable> unreadable{};
  double seconds = 0.0;  ///< of the model's work; 0: there was none
  std::optional<detection::CocoResult> result{};
};

/// {"model" or "detections", "data", "images", "errors", "classes", "mapping", "objects", "detections", the twelve
/// figures "map" to "mar_large" (fractions; -1 where no object counts), "images_per_s"}.
Record detection_summary(const DetectionEvaluation& evaluation);
/// The same in some lines, in percent; no line break at the end.
std::string detection_summary_text(const DetectionEvaluation& evaluation);

/// One per class, by category id: {"class", "category_id", "objects", "found", the twelve figures, "f1", "score"}:
/// the best F1 at IoU 0.50, and the score from which on detections give it. null: the class has no objects.
std::vector<Record> detection_class_records(const DetectionEvaluation& evaluation);
/// A table of these. `limit` above 0: of more classes only those with the lowest AP.
std::string detection_class_table(const DetectionEvaluation& evaluation, int64_t limit);

/// Writes, each whole or not at all:
///   report.json         the summary, "per_class", "unknown_classes", "unreadable"
///   per_class.csv       the class records
///   detections.json     all detections, as COCO's servers and pycocotools take them
///   pr_curve.png        precision by recall
///   ap_per_class.png    a bar per class
/// Errors: as AtomicFile; the codec module cannot be loaded.
void save_detection_evaluation(const DetectionEvaluation& evaluation, const std::filesystem::path& folder);

}  // namespace apps
