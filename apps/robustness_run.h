// The work of `vitkit robustness`: pictures of a data set under conditions (attacked, corrupted, as they are), and what
// a model makes of them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/output.h"
#include "apps/report.h"
#include "datasets/calibration.h"
#include "datasets/dataset.h"
#include "vit/heads/classification_metrics.h"
#include "vit/image/preprocess.h"
#include "vit/robustness/attack.h"

namespace apps {

struct CommonOptions;

/// The pictures that every condition is measured on: the same ones, in the same order.
class RobustnessPictures {
 public:
  /// `limit` pictures, spread evenly over the data, or all of them where there are fewer or it is 0. `classes`: the
  /// model's class of each class of the data. The references outlive the object.
  RobustnessPictures(const datasets::Dataset& data, const vit::Preprocessor& preprocessor, std::vector<int64_t> classes,
                     int64_t limit, int64_t batch_size);

  /// What is done to a picture as the model would see it, before it becomes pixels: picture and number in the data.
  using Change = std::function<vit::Image(const vit::Image&, int64_t)>;
  using Use = std::function<void(const vit::AttackBatch&)>;
  /// Calls `use` with batch after batch, in order. Pictures that cannot be read are left out; each is remembered, said
  /// on stderr once, and not tried again.
  void each_batch(const Change& change, const Use& use);

  int64_t size() const { return static_cast<int64_t>(chosen_.size()); }
  /// The data's numbers of `count` of these pictures, spread evenly over them; of all where there are fewer.
  std::vector<int64_t> spread(int64_t count) const;
  std::string source(int64_t number) const { return data_.source(number); }
  const std::vector<Unreadable>& unreadable() const { return unreadable_; }

 private:
  /// Reads pictures in parallel; `errors` says of each why there is none, where there is none.
  std::vector<vit::Image> load(const std::vector<int64_t>& numbers, const Change& change,
                               std::vector<std::string>& errors) const;

  const datasets::Dataset& data_;
  const vit::Preprocessor& preprocessor_;
  std::vector<int64_t> classes_, chosen_;
  int64_t batch_size_;
  std::vector<Unreadable> unreadable_;
};

/// Pictures u8 [h, w, 3] of one size as pixels f32 [B, 3, h, w] of 0 to 1, and one of these back as a picture.
vit::Tensor to_pixels(const std::vector<vit::Image>& pictures);
vit::Image to_picture(const vit::Tensor& pixels, int64_t index);

/// Figures of a model's answers under one condition.
class ConditionFigures {
 public:
  /// An answer [classes] to a picture of class `label`; `reached`: it is what a targeted attack wanted.
  void add(const float* logits, int64_t classes, int64_t label, bool reached);

  int64_t count() const { return metrics_.count(); }
  double accuracy() const { return metrics_.top1(); }
  double loss() const { return metrics_.loss(); }
  const datasets::Calibration& calibration() const { return calibration_; }
  double reached() const { return static_cast<double>(reached_) / static_cast<double>(metrics_.count()); }

 private:
  vit::ClassificationMetrics metrics_;
  datasets::Calibration calibration_;
  int64_t reached_ = 0;
};

/// One thing that is done to all pictures: a line of the results.
struct Condition {
  std::string kind{};           ///< "clean", "attack", "corruption"
  std::string name{};           ///< "pgd", "gaussian_noise"; empty for clean
  std::string title{};          ///< for people: "pgd linf 8/255"
  Record facts{};               ///< what the record has beside kind, name and figures; any of condition_record()'s keys
  double strength = 0.0;        ///< eps, share of the picture or severity: the place on the curve's x axis
  std::string strength_text{};  ///< as it was given: "8/255"
  RobustnessPictures::Change change{};  ///< none: the pictures as they are
  /// Gives a batch's pictures their targets, without those that are of their target's class; none: all as they are.
  std::function<vit::AttackBatch(const vit::AttackBatch&)> aim{};
  std::function<vit::AttackResult(const vit::AttackBatch&)> attack{};  ///< none: they are only answered
  bool targeted = false;
};

struct ConditionResult {
  Condition condition{};
  ConditionFigures figures{};
  double seconds = 0.0;
  int64_t left_out = 0;                 ///< pictures that cannot be aimed at: they are of the target's class
  int64_t forwards = 0, backwards = 0;  ///< pictures through the model and back
};

/// Told of every batch's outcome: for pictures that are drawn.
using BatchSeen = std::function<void(const vit::AttackBatch& batch, const vit::AttackResult& result)>;

/// Measures one condition; `advance` is told of pictures that are done.
ConditionResult measure(RobustnessPictures& pictures, const vit::AttackTarget& target, const Condition& condition,
                        const std::function<void(int64_t)>& advance, const BatchSeen& seen = {});

/// {"kind", "name", "norm", "eps", "steps", "restarts", "target", "share", "severity", "images", "errors", "accuracy",
/// "loss", "confidence", "ece", "reached", "left_out", "passes", "seconds"}: null where a key means nothing. Fractions.
Record condition_record(const ConditionResult& result, int64_t errors);
/// The same in one line, with its break.
std::string condition_text(const ConditionResult& result);

}  // namespace apps
