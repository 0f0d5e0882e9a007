#include "vit/explain/classifier_subject.h"

#include <algorithm>
#include <utility>

#include "vit/autograd/ops.h"
#include "vit/core/softmax.h"
#include "vit/models/timesformer.h"
#include "vit/models/vit.h"

namespace vit {

ClassifierSubject::ClassifierSubject(std::shared_ptr<const ExplainedModel> model, int64_t target, std::string label)
    : model_(std::move(model)), target_(target), label_(std::move(label)) {
  const int64_t classes = model_->fast().info().num_classes;
  if (target_ < 0 || target_ >= classes)
    fail_usage("there is no class ", target_, "; the model has ", classes, ", counted from 0");
}

Var ClassifierSubject::objective(Context& ctx, const Var& pixels) const {
  const Var logits = model_->for_context(ctx).forward(ctx, pixels);
  return reshape(ctx, slice_features(ctx, logits, target_, target_ + 1), {pixels.size(0)});
}

std::vector<double> ClassifierSubject::scores(const Tensor& pixels) const {
  Context ctx;
  const Tensor logits = model_->fast().forward(ctx, pixels).value();
  const int64_t classes = logits.size(1);
  std::vector<double> scores;
  for (int64_t b = 0; b < logits.size(0); ++b) {
    const float* row = logits.f32() + b * classes;
    scores.push_back(softmax_probability(row, classes, target_));
  }
  return scores;
}

const std::vector<std::string>& ClassifierSubject::offers() const {
  return model_->offers(
      [this](Context& ctx, const Tensor& pixels) { static_cast<void>(model_->fast().forward(ctx, pixels)); });
}

std::vector<double> ClassifierSubject::readout(AttentionRole role, int64_t tokens, const TokenLayout& layout) const {
  const auto* vit = dynamic_cast<const Vit*>(&model_->fast());
  const auto* timesformer = dynamic_cast<const Timesformer*>(&model_->fast());
  if ((!vit && !timesformer) || layout.prefix == 0 || role != AttentionRole::picture)
    return Subject::readout(role, tokens, layout);
  std::vector<double> weights(static_cast<size_t>(tokens), 0.0);
  if ((vit ? vit->config().global_pool : timesformer->config().global_pool) == Pool::token) {
    // The distilled model's answer is the mean of both heads'.
    const int64_t read = vit && vit->config().distilled ? 2 : 1;
    std::fill_n(weights.begin(), read, 1.0 / static_cast<double>(read));
    return weights;
  }
  check(layout.prefix + layout.cells() <= tokens, "explain: ", tokens, " tokens hold no grid of ", layout.rows, " x ",
        layout.columns);
  std::fill_n(weights.begin() + layout.prefix, layout.cells(), 1.0 / static_cast<double>(layout.cells()));
  return weights;
}

std::unique_ptr<Subject> ClassifierSubject::randomized(uint64_t seed) const {
  return std::make_unique<ClassifierSubject>(model_->randomized(seed), target_, label_);
}

}  // namespace vit
