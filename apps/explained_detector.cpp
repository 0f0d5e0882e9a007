#include <algorithm>
#include <utility>

#include "apps/common.h"
#include "apps/explained.h"
#include "apps/model_facts.h"
#include "detection/detector.h"
#include "detection/explain_subject.h"
#include "vit/core/check.h"
#include "vit/core/timer.h"
#include "vit/io/checkpoint.h"
#include "vit/models/labels.h"

namespace apps {

namespace {

class ExplainedDetector : public ExplainedAnswers {
 public:
  ExplainedDetector(detection::Detector detector, std::shared_ptr<const vit::ExplainedModel> model,
                    const ExplainedOptions& options)
      : detector_(std::move(detector)), model_(std::move(model)), count_(options.answers), conf_(options.conf) {
    targets_ = target_classes(options.target, detector_.labels());
  }

  const vit::Preprocessor& preprocessor() const override { return detector_.preprocessor(); }

  std::vector<ExplainedAnswer> answers(const vit::Image& picture, const vit::Tensor& /*pixels*/) const override {
    const vit::PixelBatch batch = detector_.prepare({picture});
    const vit::Extent size{picture.height(), picture.width()};
    vit::Context ctx;
    const std::vector<detection::Detection> found =
        detector_.finish(detector_.run(ctx, batch), 0, size, {.threshold = conf_});
    std::vector<ExplainedAnswer> all;
    for (const detection::Detection& object : found) {
      if (static_cast<int64_t>(all.size()) == count_) break;
      if (!targets_.empty() && std::find(targets_.begin(), targets_.end(), object.index) == targets_.end()) continue;
      const std::string& label = detector_.label(object.index);
      all.push_back({std::make_unique<detection::DetectionSubject>(model_, object, size, batch.pixel_mask, label),
                     label, object.index, object.score, object.box});
    }
    return all;
  }

  std::string nothing_found() const override {
    return vit::str("no ", targets_.empty() ? "object" : detector_.label(targets_.front()),
                    " was found above a score of ", conf_, "; lower --conf");
  }

  std::unique_ptr<vit::Subject> sample() const override {
    return std::make_unique<detection::DetectionSubject>(model_, detection::Detection{}, vit::Extent{1, 1},
                                                         vit::Tensor(), "");
  }
  const vit::ClassLabels* labels() const override { return &detector_.labels(); }

  std::vector<std::string> query_names(const std::vector<ExplainedAnswer>& answers) const override {
    std::vector<std::string> names;
    for (int64_t q = 0; q < detector_.model().num_queries(); ++q) names.push_back("query " + std::to_string(q));
    for (const ExplainedAnswer& answer : answers)
      if (const auto* subject = dynamic_cast<const detection::DetectionSubject*>(answer.subject.get()))
        names[static_cast<size_t>(subject->query())] += ": " + answer.label;
    return names;
  }

 private:
  detection::Detector detector_;
  std::shared_ptr<const vit::ExplainedModel> model_;
  int64_t count_;
  double conf_;
  std::vector<int64_t> targets_;
};

}  // namespace

std::unique_ptr<ExplainedAnswers> load_explained_detector(const std::string& model, const ExplainedOptions& options,
                                                          const CommonOptions& common) {
  const vit::Timer loading;
  const auto detector =
      detection::Detector::load(model, {.img_size = options.img_size, .seed = common.seed, .post = {}});
  note_model(common, model, detector, loading.milliseconds());
  const auto holder = std::make_shared<detection::Detector>(detector);
  const auto explained = std::make_shared<vit::ExplainedModel>(
      vit::ExplainedModel::from(vit::Checkpoint::open(model), detector.model().info().input_size, common.seed),
      std::shared_ptr<const vit::ImageModel>(holder, &holder->model()));
  return std::make_unique<ExplainedDetector>(detector, explained, options);
}

}  // namespace apps
