#include "detection/detection_task.h"

#include <algorithm>
#include <utility>

#include "detection/coco_eval.h"
#include "detection/postprocess.h"
#include "vit/core/check.h"

namespace detection {

namespace {

/// Means over pictures.
class Means {
 public:
  void add(const std::string& name, double value, int64_t pictures) {
    const auto known = std::find_if(sums_.begin(), sums_.end(), [&](const auto& sum) { return sum.first == name; });
    double& sum = known != sums_.end() ? known->second : sums_.emplace_back(name, 0.0).second;
    sum += value * static_cast<double>(pictures);
  }
  void count(int64_t pictures) { pictures_ += pictures; }
  void append_to(std::vector<vit::Metric>& metrics) const {
    for (const auto& [name, sum] : sums_) metrics.emplace_back(name, sum / static_cast<double>(pictures_));
  }

 private:
  std::vector<vit::Metric> sums_;
  int64_t pictures_ = 0;
};

/// The unweighted losses of the last level among a criterion's parts.
std::vector<std::string> loss_names(const CriterionConfig& config) {
  return {config.class_loss == ClassLoss::varifocal ? "loss_vfl" : "loss_ce", "loss_bbox", "loss_giou"};
}

void add_losses(const SetCriterion& criterion, vit::Context& ctx, const DetectionLevel& answer, const vit::Batch& batch,
                Means& means) {
  const CriterionResult result = criterion(ctx, {.levels = {answer}}, batch.boxes);
  means.count(batch.size());
  means.add("loss", static_cast<double>(result.total.value().f32()[0]), batch.size());
  for (const std::string& name : loss_names(criterion.config()))
    for (const auto& [part, value] : result.parts)
      if (part == name) means.add(name, value, batch.size());
}

}  // namespace

DetectionTask::DetectionTask(DetectionModel& model, const CriterionConfig& criterion,
                             const DetectionValidation& validation, std::map<std::string, std::string> files)
    : model_(model),
      criterion_(criterion, model.scoring(), model.info().num_classes),
      validation_(validation),
      files_(std::move(files)) {}

vit::Module& DetectionTask::module() { return model_; }

vit::Var DetectionTask::loss(vit::Context& ctx, const vit::Batch& batch) {
  const DetectionOutput output = model_.detect(ctx, {.images = batch.images,
                                                     .pixel_mask = batch.pixel_mask,
                                                     .all_levels = criterion_.config().aux_loss,
                                                     .targets = &batch.boxes});
  return criterion_(ctx, output, batch.boxes).total;
}

std::vector<std::string> DetectionTask::metric_names() const {
  std::vector<std::string> names;
  if (!validation_.batches) return names;
  for (const auto& [name, value] : CocoSummary().figures()) names.emplace_back(name);
  names.emplace_back("loss");
  for (const std::string& name : loss_names(criterion_.config())) names.push_back(name);
  return names;
}

std::vector<vit::Metric> DetectionTask::evaluate() {
  if (!validation_.batches) return {};
  constexpr int64_t kDetections = 100;  // as many as COCO counts
  const datasets::BoxDataset& data = *validation_.data;
  CocoEvaluator evaluator(data.class_names());
  Means means;
  vit::Context ctx;
  vit::Batch batch;
  validation_.batches->start(0, 0);
  while (validation_.batches->next(batch)) {
    const DetectionOutput output = model_.detect(ctx, {.images = batch.images, .pixel_mask = batch.pixel_mask});
    const DetectionLevel& answer = output.levels.back();
    add_losses(criterion_, ctx, answer, batch, means);
    for (int64_t b = 0; b < batch.size(); ++b) {
      const int64_t picture = batch.pictures.at(static_cast<size_t>(b));
      std::vector<Detection> found =
          postprocess(answer.logits.value(), answer.boxes.value(), b, model_.scoring(), model_.top_k(),
                      data.picture_size(picture), {.threshold = 0.0, .max_det = kDetections});
      sort_by_score(found);
      evaluator.add(data.image_id(picture), data.boxes(picture), found);
    }
  }
  vit::check(evaluator.images() > 0, "evaluate: there is no readable picture in the validation data");
  std::vector<vit::Metric> metrics;
  for (const auto& [name, value] : evaluator.result().summary().figures()) metrics.emplace_back(name, value);
  means.append_to(metrics);
  return metrics;
}

bool DetectionTask::probe(vit::Context& ctx, int64_t pictures) {
  if (!validation_.batches) return false;
  vit::Batch batch;
  int64_t seen = 0;
  validation_.batches->start(0, 0);
  while (seen < pictures && validation_.batches->next(batch)) {
    const vit::Batch part = batch.first(std::min(batch.size(), pictures - seen));
    model_.detect(ctx, {.images = part.images, .pixel_mask = part.pixel_mask});
    seen += part.size();
  }
  return seen > 0;
}

}  // namespace detection
