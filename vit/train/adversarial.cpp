#include "vit/train/adversarial.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "vit/autograd/tape.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/nn/module.h"

namespace vit {

namespace {

/// Turns a module's trained parameters into constants for as long as it lives: gradients of inputs alone are computed.
class ConstantParameters {
 public:
  explicit ConstantParameters(Module& module) {
    module.visit_parameters([this](const std::string&, Parameter& parameter) {
      if (!parameter.value.requires_grad()) return;
      leaves_.emplace_back(&parameter, parameter.value);
      parameter.value = Var(parameter.value.value());
    });
  }
  ~ConstantParameters() {
    for (auto& [parameter, leaf] : leaves_) parameter->value = leaf;
  }
  ConstantParameters(const ConstantParameters&) = delete;
  ConstantParameters& operator=(const ConstantParameters&) = delete;

 private:
  std::vector<std::pair<Parameter*, Var>> leaves_;
};

/// log softmax(x): x [B, K] -> [B, K].
Var log_softmax(Context& ctx, const Var& x) {
  const int64_t rows = x.size(0), classes = x.size(1);
  Tensor largest = Tensor::empty({rows, 1});
  for (int64_t b = 0; b < rows; ++b)
    largest.f32()[b] = *std::max_element(x.value().f32() + b * classes, x.value().f32() + (b + 1) * classes);
  const Var shifted = subtract(ctx, x, largest);
  return subtract(ctx, shifted, log(ctx, sum(ctx, exp(ctx, shifted), {1}, true)));
}

}  // namespace

void AdversarialConfig::validate() const {
  if (!(eps > 0.0))
    fail_usage("adversarial: eps must be above 0, got ", eps, " (for training without it, leave `adversarial` out)");
  if (norm == Norm::linf && eps > 1.0)
    fail_usage("adversarial: eps must be at most 1, got ", eps,
               ": pixels lie between 0 and 1; 8 of 255 steps is 0.0314");
  if (!std::isfinite(eps)) fail_usage("adversarial: eps must be a finite number");
  if (trades_beta && clean_share > 0.0)
    fail_usage("adversarial: `trades_beta` trains on clean pictures as well: it goes without `clean_share`");
}

double AdversarialConfig::step_length() const {
  if (alpha) return *alpha;
  if (steps == 1) return random_start ? 1.25 * eps : eps;
  return 2.5 * eps / static_cast<double>(steps);
}

AdversarialTraining::AdversarialTraining(const AdversarialConfig& config, const PixelScale& scale)
    : config_(config), scale_(scale), eps_(config.eps) {
  config.validate();
}

void AdversarialTraining::start_epoch(double share) {
  const double grown = config_.warmup > 0.0 ? std::min(1.0, share / config_.warmup) : 1.0;
  eps_ = grown * config_.eps;
}

Tensor AdversarialTraining::examples(Module& module, Context& ctx, const Tensor& images, const LossOf& loss) const {
  if (eps_ <= 0.0) return images;
  const int64_t clean = static_cast<int64_t>(config_.clean_share * static_cast<double>(images.size(0)));
  const ConstantParameters constants(module);
  Context inner;  // a model in use, not in training, with the training's recycled memory
  inner.arena = ctx.arena;
  const Tensor center = scale_.pixels(images.slice(clean, images.size(0)));
  const NormBall ball{config_.norm, static_cast<float>(eps_)};
  Tensor x = center.clone();
  if (config_.random_start || config_.trades_beta) {
    // TRADES begins beside the picture, where the divergence would have no gradient.
    const NormBall start{config_.norm, config_.trades_beta ? 1e-3f * ball.eps : ball.eps};
    std::vector<int64_t> numbers(static_cast<size_t>(x.size(0)));
    std::iota(numbers.begin(), numbers.end(), static_cast<int64_t>(ctx.random_calls));
    x = start.random_point(center, ctx.seed, numbers, 0);
  }
  const auto alpha = static_cast<float>(config_.step_length() * eps_ / config_.eps);
  for (int64_t step = 0; step < config_.steps; ++step) {
    Tape tape(inner);
    inner.tape = &tape;
    const Var pixels = Var::leaf(x);
    const Var value = loss(inner, scale_.normalized(inner, pixels), clean);
    inner.tape = nullptr;
    tape.backward(value);
    ball.ascend(x, center, pixels.grad(), alpha);
  }
  Tensor result = images.clone();
  const Tensor changed = scale_.normalized(x);
  std::memcpy(result.slice(clean, images.size(0)).raw(), changed.raw(), static_cast<size_t>(changed.nbytes()));
  return result;
}

Var kl_divergence(Context& ctx, const Var& p, const Var& q) {
  check(p.value().rank() == 2 && p.shape() == q.shape(), "kl_divergence: logits ", p.shape(), " and ", q.shape(),
        " must be of one shape [B, K]");
  const Var log_p = log_softmax(ctx, p);
  const Var terms = multiply(ctx, exp(ctx, log_p), subtract(ctx, log_p, log_softmax(ctx, q)));
  return reshape(ctx, scale(ctx, sum(ctx, terms, {}), 1.0f / static_cast<float>(p.size(0))), {1});
}

}  // namespace vit
