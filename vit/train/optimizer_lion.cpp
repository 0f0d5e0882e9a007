// Lion: Chen et al. 2023, "Symbolic discovery of optimization algorithms", program 1, as timm/optim/lion.py.
#include <cmath>

#include "vit/train/optimizer.h"

namespace vit {

namespace {

float sign_of(float value) { return value > 0.0f ? 1.0f : value < 0.0f ? -1.0f : 0.0f; }

class Lion : public Optimizer {
 public:
  Lion(const OptimizerConfig& config, const std::vector<NamedParameter>& parameters,
       std::vector<ParamSettings> settings)
      : Optimizer(parameters, std::move(settings), {"exp_avg"}),
        betas_(config.opt_betas.value_or(std::array{0.9, 0.99})) {}

 protected:
  void begin_step(const std::vector<NamedParameter>&, double grad_scale) override {
    grad_scale_ = static_cast<float>(grad_scale);
  }

  void update(size_t slot, int64_t, const Arrays& arrays) override {
    const float lr = static_cast<float>(slots_[slot].lr);
    const float keep = static_cast<float>(1.0 - slots_[slot].lr * settings_[slot].weight_decay);
    const float beta1 = static_cast<float>(betas_[0]), beta2 = static_cast<float>(betas_[1]);
    const float share1 = static_cast<float>(1.0 - betas_[0]), share2 = static_cast<float>(1.0 - betas_[1]);
    for (int64_t i = 0; i < arrays.count; ++i) {
      const float g = grad_scale_ * arrays.g[i];
      const float direction = sign_of(beta1 * arrays.a[i] + share1 * g);
      arrays.p[i] = keep * arrays.p[i] - lr * direction;
      arrays.a[i] = beta2 * arrays.a[i] + share2 * g;
    }
  }

 private:
  std::array<double, 2> betas_;
  float grad_scale_ = 1.0f;
};

VITKIT_REGISTER_OPTIMIZER("lion",
                          [](const OptimizerConfig& config, const std::vector<NamedParameter>& parameters,
                             std::vector<ParamSettings> settings) -> std::unique_ptr<Optimizer> {
                            return std::make_unique<Lion>(config, parameters, std::move(settings));
                          });

}  // namespace

}  // namespace vit
