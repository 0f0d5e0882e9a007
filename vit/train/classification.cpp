#include "vit/train/classification.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "vit/autograd/losses.h"
#include "vit/autograd/ops.h"
#include "vit/heads/classification_metrics.h"
#include "vit/models/model.h"
#include "vit/train/lora.h"

namespace vit {

namespace {

/// Up to `count` pictures from the start of a source, in memory of their own; undefined when it has none.
Tensor first_pictures(BatchSource& source, int64_t count) {
  Tensor pictures;
  int64_t filled = 0;
  Batch batch;
  source.start(0, 0);
  while (filled < count && source.next(batch)) {
    const Shape& shape = batch.images.shape();
    if (!pictures.defined()) pictures = Tensor::empty({count, shape[1], shape[2], shape[3]});
    const int64_t taken = std::min(batch.size(), count - filled);
    std::memcpy(pictures.slice(filled, filled + taken).raw(), batch.images.raw(),
                static_cast<size_t>(batch.images.slice(0, taken).nbytes()));
    filled += taken;
  }
  return filled > 0 ? pictures.slice(0, filled) : Tensor();
}

}  // namespace

ClassificationTask::ClassificationTask(ImageModel& model, const ClassificationLossConfig& loss, BatchSource* validation,
                                       std::map<std::string, std::string> files)
    : model_(model), config_(loss), validation_(validation), files_(std::move(files)) {
  if (loss.class_weights.empty()) return;
  const auto count = static_cast<int64_t>(loss.class_weights.size());
  if (count != model.info().num_classes)
    fail_usage("class_weights: ", count, " numbers for a model of ", model.info().num_classes, " classes");
  class_weights_ = Tensor::from(std::vector<float>(loss.class_weights.begin(), loss.class_weights.end()), {count});
}

Module& ClassificationTask::module() { return model_; }

void ClassificationTask::learn_from_adversarial(const AdversarialConfig& config, const PixelScale& scale) {
  adversarial_.emplace(config, scale);
}

void ClassificationTask::start_epoch(double share) {
  if (adversarial_) adversarial_->start_epoch(share);
}

Var ClassificationTask::loss(Context& ctx, const Batch& batch) {
  if (adversarial_ && ctx.training && ctx.tape) return adversarial_loss(ctx, batch);
  return loss_of(ctx, batch.images, batch.targets);
}

Var ClassificationTask::adversarial_loss(Context& ctx, const Batch& batch) {
  Tape* const tape = std::exchange(ctx.tape, nullptr);  // the search for worse pictures is no part of the step
  const std::optional<double> beta = adversarial_->config().trades_beta;
  Tensor clean_logits;
  if (beta) {
    Context inner;
    inner.arena = ctx.arena;
    clean_logits = model_.forward(inner, batch.images).value();
  }
  const Tensor worse =
      adversarial_->examples(model_, ctx, batch.images, [&](Context& inner, const Var& images, int64_t first) {
        if (beta) return kl_divergence(inner, clean_logits, model_.forward(inner, images));
        return loss_of(inner, images, batch.targets.slice(first, batch.size()));
      });
  ctx.tape = tape;
  if (!beta) return loss_of(ctx, worse, batch.targets);
  const Var clean = model_.forward(ctx, batch.images);
  const Var divergence = kl_divergence(ctx, clean, model_.forward(ctx, worse));
  return add(ctx, loss_of_logits(ctx, clean, batch.targets), scale(ctx, divergence, static_cast<float>(*beta)));
}

Var ClassificationTask::loss_of(Context& ctx, const Var& images, const Tensor& targets) const {
  return loss_of_logits(ctx, model_.forward(ctx, images), targets);
}

Var ClassificationTask::loss_of_logits(Context& ctx, const Var& logits, const Tensor& targets) const {
  if (!config_.bce_loss) return cross_entropy(ctx, logits, targets, {.class_weights = class_weights_});
  BinaryCrossEntropyOptions options{.sum_classes = config_.bce_sum, .class_weights = class_weights_};
  if (config_.bce_target_thresh) options.target_threshold = static_cast<float>(*config_.bce_target_thresh);
  return binary_cross_entropy(ctx, logits, targets, options);
}

std::vector<std::string> ClassificationTask::metric_names() const {
  return validation_ ? std::vector<std::string>{"top1", "top5", "loss"} : std::vector<std::string>{};
}

std::vector<Metric> ClassificationTask::evaluate() {
  if (!validation_) return {};
  ClassificationMetrics metrics;
  Context ctx;
  validation_->start(0, 0);
  Batch batch;
  while (validation_->next(batch)) {
    const Tensor logits = model_.forward(ctx, batch.images).value();
    const int64_t classes = logits.size(1);
    for (int64_t b = 0; b < batch.size(); ++b)
      metrics.add(logits.f32() + b * classes, classes, batch.targets.data<int64_t>()[b]);
  }
  check(metrics.count() > 0, "evaluate: there is no readable picture in the validation data");
  return {{"top1", metrics.top1()}, {"top5", metrics.top5()}, {"loss", metrics.loss()}};
}

std::vector<std::pair<std::string, Tensor>> ClassificationTask::exported(
    const std::vector<std::pair<std::string, Tensor>>& weights) {
  return merge_lora(model_, weights);
}

bool ClassificationTask::probe(Context& ctx, int64_t pictures) {
  if (!validation_) return false;
  if (!probe_.defined()) probe_ = first_pictures(*validation_, pictures);
  if (!probe_.defined()) return false;
  // An observer of attention makes N x N values per head: a few pictures at a time bound them.
  constexpr int64_t kPicturesAtOnce = 8;
  for (int64_t begin = 0; begin < probe_.size(0); begin += kPicturesAtOnce)
    model_.forward(ctx, probe_.slice(begin, std::min(begin + kPicturesAtOnce, probe_.size(0))));
  return true;
}

}  // namespace vit
