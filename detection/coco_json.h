// COCO's files, as far as evaluation needs them: the annotated objects as pycocotools sees them (without any picture,
// and without the repairs of datasets/coco), and the form in which detections are handed in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "detection/coco_eval.h"

namespace detection {

/// What a file has that no figure can count.
struct CocoOddity {
  std::string where;   ///< "annotation 17"
  std::string reason;  ///< "category 91 is not in the file"
};

struct CocoTruthFile {
  CocoTruth truth;
  /// Annotations that pycocotools leaves out (of images or categories that are not in the file), and ids that make it
  /// count something else than meant.
  std::vector<CocoOddity> oddities;
};

/// {"images": [{"id"}], "categories": [{"id", "name"}], "annotations": [{"id", "image_id", "category_id", "bbox",
/// "area", "iscrowd"}]}. A missing area is the box's, a missing iscrowd 0. Memory follows from the objects, not from
/// the file: outlines are skipped. Errors (usage): no such file, no JSON, no such lists, a value of another kind,
/// naming the file and the entry.
CocoTruthFile read_coco_truth(const std::filesystem::path& path);

/// [{"image_id", "category_id", "bbox": [x, y, width, height], "score"}]; other keys are skipped. Errors as above.
std::vector<CocoDetection> read_coco_detections(const std::filesystem::path& path);

/// The same form, every number so that reading gives it back. Errors: as AtomicFile.
void write_coco_detections(const std::filesystem::path& path, const std::vector<CocoDetection>& detections);

}  // namespace detection
