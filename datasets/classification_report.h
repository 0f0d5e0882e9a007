// Everything that is reported of a classifier on a data set: figures over all pictures and per class, who is taken for
// whom, and whether its scores mean what they say.
#pragma once

#include <cstdint>
#include <vector>

#include "datasets/calibration.h"
#include "datasets/confusion.h"
#include "vit/heads/classification_metrics.h"

namespace datasets {

class ClassificationReport {
 public:
  /// `model_classes`: the model's class of each class of the data (ClassMapping::classes). The model has `classes`.
  /// Errors: one of them is no class of the model.
  ClassificationReport(std::vector<int64_t> model_classes, int64_t classes);

  /// Logits [classes] of a picture with the data's class `label`. The prediction is the first of the largest logits.
  /// Errors: no such label; a logit that is not finite.
  void add(const float* logits, int64_t label);

  /// Over all pictures.
  const vit::ClassificationMetrics& overall() const { return overall_; }
  /// Over the pictures of one class of the data. Errors: no such label.
  const vit::ClassificationMetrics& of_label(int64_t label) const;
  /// Between classes of the model.
  const ConfusionMatrix& confusion() const { return confusion_; }
  const Calibration& calibration() const { return calibration_; }
  /// The model's class of each class of the data.
  const std::vector<int64_t>& model_classes() const { return model_classes_; }

  /// Mean of the classes' top-1, and of their F1, each class counting alike; classes without pictures are left out.
  /// NaN of none.
  double balanced_top1() const;
  double macro_f1() const;

 private:
  template <class Figure>
  double mean_over_classes(const Figure& figure) const;

  std::vector<int64_t> model_classes_;
  int64_t classes_;
  vit::ClassificationMetrics overall_;
  std::vector<vit::ClassificationMetrics> of_label_;
  ConfusionMatrix confusion_;
  Calibration calibration_;
};

}  // namespace datasets
