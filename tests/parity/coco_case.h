// A reference case of COCO's figures: annotations, detections, and what pycocotools says about them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace vit {

struct CocoFigure {
  std::string name;  ///< "AP50", "category 7: AP"
  double ours = 0.0, reference = 0.0, limit = 0.0;
  bool ok() const;
};

/// Counts annotations.json against detections.json and compares with golden.json. Errors: as the readers.
std::vector<CocoFigure> run_coco_golden(const std::filesystem::path& dir);

}  // namespace vit
