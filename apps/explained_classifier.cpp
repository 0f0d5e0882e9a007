#include <algorithm>
#include <utility>

#include "apps/common.h"
#include "apps/explained.h"
#include "apps/model_facts.h"
#include "apps/text_labels.h"
#include "vit/core/timer.h"
#include "vit/explain/classifier_subject.h"
#include "vit/io/checkpoint.h"
#include "vit/models/labels.h"
#include "vit/predictor.h"

namespace apps {

namespace {

class ExplainedClassifier : public ExplainedAnswers {
 public:
  ExplainedClassifier(vit::Classifier classifier, std::shared_ptr<const vit::ExplainedModel> model,
                      const ExplainedOptions& options)
      : classifier_(std::move(classifier)), model_(std::move(model)), count_(options.answers) {
    targets_ = target_classes(options.target, classifier_.labels());
  }

  const vit::Preprocessor& preprocessor() const override { return classifier_.preprocessor(); }

  std::vector<ExplainedAnswer> answers(const vit::Image& /*picture*/, const vit::Tensor& pixels) const override {
    const vit::Tensor logits = classifier_.logits(pixels);
    std::vector<ExplainedAnswer> all;
    for (const vit::Prediction& found : classifier_.top(logits.f32(), logits.size(1))) {
      const bool wanted = targets_.empty() ? static_cast<int64_t>(all.size()) < count_
                                           : std::find(targets_.begin(), targets_.end(), found.index) != targets_.end();
      if (wanted) all.push_back({of_class(found.index), found.label, found.index, found.score, {}});
    }
    return all;
  }

  std::unique_ptr<vit::Subject> sample() const override { return of_class(targets_.empty() ? 0 : targets_.front()); }
  std::unique_ptr<vit::Subject> of_class(int64_t index) const override {
    return std::make_unique<vit::ClassifierSubject>(model_, index, classifier_.labels().name(index));
  }
  std::string usual_map_method() const override { return "gradcam"; }
  const vit::ClassLabels* labels() const override { return &classifier_.labels(); }

 private:
  vit::Classifier classifier_;
  std::shared_ptr<const vit::ExplainedModel> model_;
  int64_t count_;
  std::vector<int64_t> targets_;
};

}  // namespace

std::unique_ptr<ExplainedAnswers> load_explained_classifier(const std::string& model, const ExplainedOptions& options,
                                                            const CommonOptions& common) {
  const vit::Timer loading;
  vit::ClassifierOptions loaded{.img_size = options.img_size, .seed = common.seed};
  if (!options.labels.empty()) loaded.name_classes = text_classes(split_labels(options.labels));
  const auto classifier = vit::Classifier::load(model, loaded);
  note_model(common, model, classifier, loading.milliseconds());
  const auto checkpoint = vit::Checkpoint::open(model);
  vit::ExplainedModel::Load load =
      vit::ExplainedModel::from(checkpoint, classifier.model().info().input_size, common.seed);
  if (loaded.name_classes)
    load = [load, checkpoint, name = loaded.name_classes](vit::Purpose purpose) {
      std::shared_ptr<vit::ImageModel> named = load(purpose);
      static_cast<void>(name(*named, checkpoint));
      return named;
    };
  // The classifier's own model serves for what needs no gradient.
  const auto holder = std::make_shared<vit::Classifier>(classifier);
  const auto explained =
      std::make_shared<vit::ExplainedModel>(load, std::shared_ptr<const vit::ImageModel>(holder, &holder->model()));
  return std::make_unique<ExplainedClassifier>(classifier, explained, options);
}

}  // namespace apps
