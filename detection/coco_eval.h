// COCO's figures for boxes, as pycocotools' COCOeval counts them (iouType "bbox"): average precision and recall over
// ten overlaps, three ranges of area and three numbers of detections per picture. What is counted how, and what
// surprises in it: docs/detection_evaluation.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "datasets/box_dataset.h"
#include "detection/postprocess.h"

namespace detection {

/// x, y of the upper left corner, width, height: as COCO's files have boxes.
using CocoBox = std::array<double, 4>;

/// An annotated object.
struct CocoObject {
  int64_t image = 0, category = 0;
  CocoBox box{};
  double area = 0.0;       ///< decides its range of areas: of its mask where there is one, not of the box
  bool crowd = false;      ///< many objects: neither found nor missed; overlap is taken of the detection's area alone
  bool difficult = false;  ///< neither found nor missed either; overlaps as any object's
  /// pycocotools takes an object whose annotation has id 0 for none, and a detection of it for wrong; so does this.
  int64_t id = 1;
};

struct CocoDetection {
  int64_t image = 0, category = 0;
  CocoBox box{};
  double score = 0.0;
};

/// What detections are compared with.
struct CocoTruth {
  std::vector<int64_t> images{}, categories{};  ///< all ids, with objects or without
  std::vector<std::string> names{};             ///< of the categories; may be empty
  std::vector<CocoObject> objects{};
};

/// The twelve figures, 0 to 1; -1 where no object counts.
struct CocoSummary {
  double map = -1, map50 = -1, map75 = -1, map_small = -1, map_medium = -1, map_large = -1;
  double mar1 = -1, mar10 = -1, mar100 = -1, mar_small = -1, mar_medium = -1, mar_large = -1;

  static constexpr size_t kCount = 12;
  /// In pycocotools' order, by the names above.
  std::array<std::pair<const char*, double>, kCount> figures() const;
};

enum class CocoArea { all, small, medium, large };

/// Precision and recall of every class, overlap and range of areas, and what follows from them.
class CocoResult {
 public:
  static constexpr size_t kThresholds = 10;  ///< overlaps 0.50, 0.55, ..., 0.95
  static constexpr size_t kRecalls = 101;    ///< recalls 0.00, 0.01, ..., 1.00
  static constexpr size_t kAreas = 4, kLimits = 3;
  /// Detections per picture and class that count.
  static constexpr std::array<int64_t, kLimits> kMaxDetections = {1, 10, 100};
  static double threshold(size_t t);
  static double recall_point(size_t r);

  explicit CocoResult(std::vector<int64_t> categories);

  /// Sorted ids; all positions `k` below refer to them.
  const std::vector<int64_t>& categories() const { return categories_; }

  /// Precision at a recall, with 100 detections per picture; -1: no object of the class counts.
  double precision(size_t t, size_t r, size_t k, CocoArea area = CocoArea::all) const;
  /// Score of the detection at which that recall is reached; 0: it is not, or no object counts.
  double score(size_t t, size_t r, size_t k, CocoArea area = CocoArea::all) const;
  /// The highest recall with kMaxDetections[limit] detections per picture; -1 as above.
  double recall(size_t t, size_t k, CocoArea area = CocoArea::all, size_t limit = kLimits - 1) const;
  /// Objects of a class that count, of all areas; detections of it that were given, of which at most 100 per picture
  /// count.
  int64_t objects(size_t k) const { return objects_[k]; }
  int64_t detections(size_t k) const { return detections_[k]; }

  /// Over all classes that have objects.
  CocoSummary summary() const;
  /// Of one class.
  CocoSummary summary(size_t k) const;
  /// Precision at the 101 recalls, mean over the classes that have objects; empty where none has.
  std::vector<double> mean_precision(size_t t) const;

 private:
  friend class CocoCounter;
  CocoSummary summary(size_t first, size_t last) const;
  double mean_precision_of(size_t first, size_t last, CocoArea area, int threshold) const;
  double mean_recall_of(size_t first, size_t last, CocoArea area, size_t limit) const;
  size_t curve(size_t t, size_t k, CocoArea area) const;
  size_t cell(size_t t, size_t k, CocoArea area, size_t limit) const;

  std::vector<int64_t> categories_;
  std::vector<double> precision_, score_;  // [K, areas, T, R]
  std::vector<double> recall_;             // [K, areas, limits, T]
  std::vector<int64_t> objects_, detections_;
};

/// Counts. Detections of categories that `truth` does not have are left out, as pycocotools leaves them out. Runs in
/// parallel over classes; the same figures on any number of threads. Errors: an image id of a detection or object, or a
/// category id of an object, that `truth` does not list; a number that is not finite; ids that stand twice.
CocoResult evaluate_coco(const CocoTruth& truth, const std::vector<CocoDetection>& detections);

/// The same for pictures with class numbers in place of category ids, one picture after the other.
class CocoEvaluator {
 public:
  /// `classes`: their names, in the order of their numbers.
  explicit CocoEvaluator(std::vector<std::string> classes);

  /// A picture; `image` is its number in the data set (datasets::BoxDataset::image_id), once only. Not thread-safe.
  /// Errors (when counting): a class number of an object that is no class. Detections of other classes are left out.
  void add(int64_t image, const std::vector<datasets::BoxAnnotation>& truth, const std::vector<Detection>& detections);

  int64_t images() const { return static_cast<int64_t>(truth_.images.size()); }
  const CocoTruth& truth() const { return truth_; }
  const std::vector<CocoDetection>& detections() const { return detections_; }
  /// Errors: as evaluate_coco.
  CocoResult result() const { return evaluate_coco(truth_, detections_); }

 private:
  CocoTruth truth_;
  std::vector<CocoDetection> detections_;
};

/// Corners to COCO's form and back.
CocoBox coco_box(const vit::Corners& box);
vit::Corners corners_of(const CocoBox& box);

}  // namespace detection
