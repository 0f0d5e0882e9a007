#include "datasets/classification_report.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "vit/core/check.h"
#include "vit/core/softmax.h"

namespace datasets {

ClassificationReport::ClassificationReport(std::vector<int64_t> model_classes, int64_t classes)
    : model_classes_(std::move(model_classes)),
      classes_(classes),
      of_label_(model_classes_.size()),
      confusion_(classes) {
  for (const int64_t k : model_classes_) vit::check(k >= 0 && k < classes, "report: class ", k, " of ", classes);
}

void ClassificationReport::add(const float* logits, int64_t label) {
  vit::check(label >= 0 && label < static_cast<int64_t>(of_label_.size()), "report: label ", label, " of ",
             of_label_.size());
  vit::check(std::all_of(logits, logits + classes_, [](float x) { return std::isfinite(x); }),
             "report: a logit is not finite");
  const int64_t target = model_classes_[static_cast<size_t>(label)];
  const int64_t predicted = std::max_element(logits, logits + classes_) - logits;
  overall_.add(logits, classes_, target);
  of_label_[static_cast<size_t>(label)].add(logits, classes_, target);
  confusion_.add(target, predicted);
  calibration_.add(vit::softmax_probability(logits, classes_, predicted), predicted == target);
}

const vit::ClassificationMetrics& ClassificationReport::of_label(int64_t label) const {
  vit::check(label >= 0 && label < static_cast<int64_t>(of_label_.size()), "report: label ", label, " of ",
             of_label_.size());
  return of_label_[static_cast<size_t>(label)];
}

template <class Figure>
double ClassificationReport::mean_over_classes(const Figure& figure) const {
  double sum = 0.0;
  int64_t count = 0;
  for (size_t i = 0; i < of_label_.size(); ++i) {
    if (of_label_[i].count() == 0) continue;
    sum += figure(i);
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : std::numeric_limits<double>::quiet_NaN();
}

double ClassificationReport::balanced_top1() const {
  return mean_over_classes([&](size_t label) { return of_label_[label].top1(); });
}

double ClassificationReport::macro_f1() const {
  return mean_over_classes([&](size_t label) { return confusion_.f1(model_classes_[label]); });
}

}  // namespace datasets
