// Training of image classifiers: the loss, and accuracy on held-out pictures.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vit/core/config.h"
#include "vit/train/adversarial.h"
#include "vit/train/task.h"

namespace vit {

class ImageModel;

/// What a classifier is trained to.
struct ClassificationLossConfig {
  bool bce_loss = false;
  std::optional<double> bce_target_thresh{};
  bool bce_sum = false;
  std::vector<double> class_weights{};
  template <class V>
  void visit_fields(V& v) {
    v("bce_loss", bce_loss, "Binary cross-entropy per class instead of softmax cross-entropy.");
    v("bce_target_thresh", bce_target_thresh, "With bce_loss: targets above this count as 1, the others as 0.",
      between(0, 1));
    v("bce_sum", bce_sum, "With bce_loss: sum over the classes instead of their mean.");
    v("class_weights", class_weights, "Factor of each class in the loss; empty: 1 for all.", at_least(0));
  }
};

class ClassificationTask : public Task {
 public:
  /// `validation` may be null: then nothing is evaluated. `files` go into every checkpoint (config.json, ...). All
  /// references outlive the task. Errors (usage): class_weights of another number than the model's classes.
  ClassificationTask(ImageModel& model, const ClassificationLossConfig& loss, BatchSource* validation,
                     std::map<std::string, std::string> files);

  /// From here on the model learns from pictures that are made to fool it (vit/train/adversarial.h). `scale`: of the
  /// batches' pictures.
  void learn_from_adversarial(const AdversarialConfig& config, const PixelScale& scale);

  Module& module() override;
  void start_epoch(double share) override;
  Var loss(Context& ctx, const Batch& batch) override;
  /// top1, top5 (fractions) and loss (cross-entropy without smoothing).
  std::vector<Metric> evaluate() override;
  std::vector<std::string> metric_names() const override;
  bool probe(Context& ctx, int64_t pictures) override;
  std::map<std::string, std::string> checkpoint_files() override { return files_; }
  std::vector<std::pair<std::string, Tensor>> exported(
      const std::vector<std::pair<std::string, Tensor>>& weights) override;

 private:
  Var loss_of(Context& ctx, const Var& images, const Tensor& targets) const;
  Var loss_of_logits(Context& ctx, const Var& logits, const Tensor& targets) const;
  /// The batch's pictures made worse, and what is learnt from them.
  Var adversarial_loss(Context& ctx, const Batch& batch);

  ImageModel& model_;
  ClassificationLossConfig config_;
  Tensor class_weights_;
  std::optional<AdversarialTraining> adversarial_;
  BatchSource* validation_;
  Tensor probe_;  ///< pictures of probe()
  std::map<std::string, std::string> files_;
};

}  // namespace vit
