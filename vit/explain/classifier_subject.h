// A class of a classifier as what is explained.
#pragma once

#include <memory>
#include <string>

#include "vit/explain/explained_model.h"
#include "vit/explain/subject.h"

namespace vit {

/// The objective is the class's logit, the score its softmax probability.
class ClassifierSubject : public Subject {
 public:
  /// `label`: the class's name, for people. Errors (usage): the model has no class `target`.
  ClassifierSubject(std::shared_ptr<const ExplainedModel> model, int64_t target, std::string label);

  std::string name() const override { return label_; }
  int64_t target() const { return target_; }
  const ImageModel& model() const override { return model_->fast(); }
  Var objective(Context& ctx, const Var& pixels) const override;
  std::vector<double> scores(const Tensor& pixels) const override;
  const std::vector<std::string>& offers() const override;
  std::vector<double> readout(AttentionRole role, int64_t tokens, const TokenLayout& layout) const override;
  std::unique_ptr<Subject> randomized(uint64_t seed) const override;

 private:
  std::shared_ptr<const ExplainedModel> model_;
  int64_t target_;
  std::string label_;
};

}  // namespace vit
