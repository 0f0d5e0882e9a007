// AdamW: Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2, as torch.optim.AdamW.
#include <cmath>

#include "vit/kernels/kernels.h"
#include "vit/train/optimizer.h"

namespace vit {

namespace {

class AdamW : public Optimizer {
 public:
  AdamW(const OptimizerConfig& config, const std::vector<NamedParameter>& parameters,
        std::vector<ParamSettings> settings)
      : Optimizer(parameters, std::move(settings), {"exp_avg", "exp_avg_sq"}),
        betas_(config.opt_betas.value_or(std::array{0.9, 0.999})),
        eps_(config.opt_eps.value_or(1e-8)),
        numbers_(slots_.size()) {}

 protected:
  void begin_step(const std::vector<NamedParameter>&, double grad_scale) override {
    for (size_t i = 0; i < slots_.size(); ++i) {
      const double steps = static_cast<double>(slots_[i].steps);
      const double correction1 = 1.0 - std::pow(betas_[0], steps);
      const double correction2 = 1.0 - std::pow(betas_[1], steps);
      numbers_[i] = {.lr_times_decay = static_cast<float>(slots_[i].lr * settings_[i].weight_decay),
                     .beta1 = betas_[0],
                     .beta2 = betas_[1],
                     .step_size = static_cast<float>(slots_[i].lr / correction1),
                     .inv_sqrt_correction2 = static_cast<float>(1.0 / std::sqrt(correction2)),
                     .eps = static_cast<float>(eps_),
                     .grad_scale = static_cast<float>(grad_scale)};
    }
  }

  void update(size_t slot, int64_t, const Arrays& arrays) override {
    kernels::kernels().adamw(arrays.p, arrays.a, arrays.b, arrays.g, arrays.count, numbers_[slot]);
  }

 private:
  std::array<double, 2> betas_;
  double eps_;
  std::vector<kernels::AdamWStep> numbers_;  // of the running step, per slot
};

VITKIT_REGISTER_OPTIMIZER("adamw",
                          [](const OptimizerConfig& config, const std::vector<NamedParameter>& parameters,
                             std::vector<ParamSettings> settings) -> std::unique_ptr<Optimizer> {
                            return std::make_unique<AdamW>(config, parameters, std::move(settings));
                          });

}  // namespace

}  // namespace vit
