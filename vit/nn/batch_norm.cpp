#include "vit/nn/batch_norm.h"

#include <cmath>

namespace vit {

BatchNorm::BatchNorm(int64_t channels, const BatchNormOptions& options) : options_(options) {
  add_parameter("weight", weight_, {channels}, Init::ones());
  add_parameter("bias", bias_, {channels}, Init::zeros());
  add_parameter("running_mean", running_mean_, {channels}, Init::zeros());
  add_parameter("running_var", running_var_, {channels}, Init::ones());
  running_mean_.buffer = running_var_.buffer = true;
}

Var BatchNorm::forward(Context& ctx, const Var& x) const {
  // A norm that is not trained keeps its running statistics and uses them, as timm freezes it.
  struct TrainingFlag {
    explicit TrainingFlag(Context& context) : ctx(context), before(context.training) {}
    ~TrainingFlag() { ctx.training = before; }
    Context& ctx;
    bool before;
  } const flag(ctx);
  ctx.training = flag.before && weight_.value.requires_grad();
  return batch_norm(ctx, x, weight_.value, bias_.value, {running_mean_.value.value(), running_var_.value.value()},
                    options_);
}

BatchNorm::Affine BatchNorm::take_affine() {
  check(weight_.value.defined() && running_var_.value.defined(), "batch norm: the parameters are not loaded");
  const int64_t channels = weight_.shape[0];
  const Affine affine{Tensor::empty({channels}), Tensor::empty({channels})};
  const auto at = [](const Parameter& parameter, int64_t c) {
    return static_cast<double>(parameter.value.value().f32()[c]);
  };
  for (int64_t c = 0; c < channels; ++c) {
    const double factor = at(weight_, c) / std::sqrt(at(running_var_, c) + options_.eps);
    affine.scale.f32()[c] = static_cast<float>(factor);
    affine.shift.f32()[c] = static_cast<float>(at(bias_, c) - at(running_mean_, c) * factor);
  }
  for (Parameter* parameter : {&weight_, &bias_, &running_mean_, &running_var_}) parameter->value = {};
  return affine;
}

GroupNorm::GroupNorm(int64_t groups, int64_t channels, float eps) : groups_(groups), eps_(eps) {
  if (groups < 1 || channels % groups != 0)
    fail_usage("group norm: ", channels, " channels cannot be divided into ", groups, " groups");
  add_parameter("weight", weight_, {channels}, Init::ones());
  add_parameter("bias", bias_, {channels}, Init::zeros());
}

Var GroupNorm::forward(Context& ctx, const Var& x) const {
  return group_norm(ctx, x, weight_.value, bias_.value, groups_, eps_);
}

}  // namespace vit
