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
  /// Annotations that are left out (of images or categories that are not in the file, as pycocotools leaves them out;
  /// boxes that are no numbers), and ids that make it count something else than meant.
  std::vector<CocoOddity> oddities;
};

/// The boxes as the file has them, wherever they lie: datasets' repairs are not pycocotools'. A missing area is the
/// box's. Errors (usage): as datasets::read_coco; an image or a category without an id.
CocoTruthFile read_coco_truth(const std::filesystem::path& path);

/// The objects of a data set of any format, under its ids of images and categories.
CocoTruth coco_truth(const datasets::BoxDataset& data);

/// [{"image_id", "category_id", "bbox": [x, y, width, height], "score"}]; other keys are skipped. Errors as above.
std::vector<CocoDetection> read_coco_detections(const std::filesystem::path& path);

/// The same form, every number so that reading gives it back. Errors: as AtomicFile.
void write_coco_detections(const std::filesystem::path& path, const std::vector<CocoDetection>& detections);

}  // namespace detection
