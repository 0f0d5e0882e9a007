// Training of detectors: the set criterion, and COCO's figures on held-out pictures.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "datasets/box_dataset.h"
#include "detection/set_criterion.h"
#include "vit/train/task.h"

namespace detection {

/// What a detector is judged on.
struct DetectionValidation {
  vit::BatchSource* batches = nullptr;         ///< its batches say which pictures they are; null: nothing is evaluated
  const datasets::BoxDataset* data = nullptr;  ///< the pictures' sizes and boxes
};

class DetectionTask : public vit::Task {
 public:
  /// `files` go into every checkpoint. All references outlive the task. Errors (usage): as SetCriterion.
  DetectionTask(DetectionModel& model, const CriterionConfig& criterion, const DetectionValidation& validation,
                std::map<std::string, std::string> files);

  vit::Module& module() override;
  /// Batch::boxes are the targets, Batch::pixel_mask says where padding is.
  vit::Var loss(vit::Context& ctx, const vit::Batch& batch) override;
  /// COCO's twelve figures (map, map50, ..., fractions, -1 where no object counts), `loss` and its unweighted parts of
  /// the last level. Up to 100 detections per picture count, whatever their score.
  std::vector<vit::Metric> evaluate() override;
  std::vector<std::string> metric_names() const override;
  bool probe(vit::Context& ctx, int64_t pictures) override;
  std::map<std::string, std::string> checkpoint_files() override { return files_; }

 private:
  DetectionModel& model_;
  SetCriterion criterion_;
  DetectionValidation validation_;
  std::map<std::string, std::string> files_;
};

}  // namespace detection
