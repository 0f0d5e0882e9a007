#include <cmath>

#include "vit/autograd/losses.h"
#include "vit/autograd/op_support.h"
#include "vit/kernels/kernels.h"

namespace vit {

namespace {

struct Sizes {
  int64_t batch, classes;
};

Sizes check_loss(const char* op, const Var& logits, const Tensor& targets, const Tensor& class_weights) {
  check(logits.value().rank() == 2 && logits.size(0) > 0 && logits.size(1) > 0, op,
        ": expected logits [B, K] of at least one sample and class, got ", logits.shape());
  const Sizes sizes{logits.size(0), logits.size(1)};
  if (targets.dtype() == DType::i64) {
    check(targets.shape() == Shape{sizes.batch}, op, ": expected ", sizes.batch, " class numbers, got ",
          targets.shape());
    for (const int64_t target : targets.span<int64_t>())
      check(0 <= target && target < sizes.classes, op, ": label ", target, " is outside [0, ", sizes.classes, ")");
  } else {
    check(targets.dtype() == DType::f32 && targets.shape() == logits.shape(), op, ": expected targets ", logits.shape(),
          ", got ", targets.shape());
  }
  check(!class_weights.defined() || class_weights.shape() == Shape{sizes.classes}, op, ": expected ", sizes.classes,
        " class weights, got ", class_weights.shape());
  return sizes;
}

/// Targets as a distribution per sample in double: [B, K].
std::vector<double> distributions(const Tensor& targets, const Sizes& sizes, double on, double off) {
  std::vector<double> all(static_cast<size_t>(sizes.batch * sizes.classes), off);
  if (targets.dtype() == DType::i64) {
    for (int64_t b = 0; b < sizes.batch; ++b)
      all[static_cast<size_t>(b * sizes.classes + targets.data<int64_t>()[b])] = on;
  } else {
    for (size_t i = 0; i < all.size(); ++i) all[i] = targets.f32()[i];
  }
  return all;
}

double weight_of(const Tensor& class_weights, int64_t k) {
  return class_weights.defined() ? static_cast<double>(class_weights.f32()[k]) : 1.0;
}

/// The loss and its gradient with respect to the logits, which is known as soon as the loss is.
Var record_loss(Context& ctx, const Var& logits, double loss, Tensor gradient) {
  Tensor value = Tensor::full({1}, static_cast<float>(loss));
  if (!recording(ctx, {&logits})) return value;
  return ctx.tape->record(std::move(value), {logits}, [logits, gradient](Tape& tape, const Tensor& d_loss) {
    Tensor d_logits = tape.empty(logits.shape());
    kernels::kernels().scale(d_logits.f32(), gradient.f32(), d_loss.f32()[0], d_logits.numel());
    tape.accumulate(logits, std::move(d_logits));
  });
}

}  // namespace

Var cross_entropy(Context& ctx, const Var& logits, const Tensor& targets, const CrossEntropyOptions& options) {
  StageTimer timer(ctx.profile, "cross_entropy");
  const Sizes sizes = check_loss("cross_entropy", logits, targets, options.class_weights);
  const double smoothing = options.label_smoothing, spread = smoothing / static_cast<double>(sizes.classes);
  std::vector<double> target = distributions(targets, sizes, 1.0, 0.0);
  // torch: hard targets are averaged with their weights, distributions over the batch.
  double total_weight = static_cast<double>(sizes.batch);
  if (targets.dtype() == DType::i64 && options.class_weights.defined()) {
    total_weight = 0.0;
    for (const int64_t label : targets.span<int64_t>()) total_weight += weight_of(options.class_weights, label);
  }
  // A batch of classes that weigh nothing has no loss.
  if (total_weight == 0.0) total_weight = 1.0;
  Tensor gradient = ctx.arena.empty(logits.shape());
  double loss = 0.0;
  for (int64_t b = 0; b < sizes.batch; ++b) {
    const float* z = logits.value().f32() + b * sizes.classes;
    double *t = target.data() + b * sizes.classes, largest = z[0], sum = 0.0, mass = 0.0;
    for (int64_t k = 1; k < sizes.classes; ++k) largest = std::max<double>(largest, z[k]);
    for (int64_t k = 0; k < sizes.classes; ++k) sum += std::exp(z[k] - largest);
    const double log_sum = largest + std::log(sum);
    for (int64_t k = 0; k < sizes.classes; ++k) {
      t[k] = (t[k] * (1.0 - smoothing) + spread) * weight_of(options.class_weights, k);
      loss += t[k] * (log_sum - z[k]);
      mass += t[k];
    }
    float* d_z = gradient.f32() + b * sizes.classes;
    for (int64_t k = 0; k < sizes.classes; ++k)
      d_z[k] = static_cast<float>((mass * std::exp(z[k] - log_sum) - t[k]) / total_weight);
  }
  return record_loss(ctx, logits, loss / total_weight, std::move(gradient));
}

Var binary_cross_entropy(Context& ctx, const Var& logits, const Tensor& targets,
                         const BinaryCrossEntropyOptions& options) {
  StageTimer timer(ctx.profile, "binary_cross_entropy");
  const Sizes sizes = check_loss("binary_cross_entropy", logits, targets, options.class_weights);
  const double off = options.label_smoothing / static_cast<double>(sizes.classes);
  const std::vector<double> target = distributions(targets, sizes, 1.0 - options.label_smoothing + off, off);
  const double count = static_cast<double>(options.sum_classes ? sizes.batch : sizes.batch * sizes.classes);
  Tensor gradient = ctx.arena.empty(logits.shape());
  double loss = 0.0;
  for (size_t i = 0; i < target.size(); ++i) {
    const double z = logits.value().f32()[i];
    const double weight = weight_of(options.class_weights, static_cast<int64_t>(i) % sizes.classes);
    const double t = options.target_threshold ? (target[i] > *options.target_threshold ? 1.0 : 0.0) : target[i];
    loss += weight * (std::max(z, 0.0) - z * t + std::log1p(std::exp(-std::abs(z))));
    gradient.f32()[i] = static_cast<float>(weight * (1.0 / (1.0 + std::exp(-z)) - t) / count);
  }
  return record_loss(ctx, logits, loss / count, std::move(gradient));
}

}  // namespace vit
