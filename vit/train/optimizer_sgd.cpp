// Stochastic gradient descent with momentum (Sutskever et al. 2013), as torch.optim.SGD: weight decay is added to the
// gradient, and the first momentum buffer is the gradient itself. As in timm, `sgd` is Nesterov's variant, `nesterov`
// another name of it, and `momentum` the plain one.
#include <cmath>

#include "vit/train/optimizer.h"

namespace vit {

namespace {

class Sgd : public Optimizer {
 public:
  Sgd(const OptimizerConfig& config, bool nesterov, const std::vector<NamedParameter>& parameters,
      std::vector<ParamSettings> settings)
      : Optimizer(parameters, std::move(settings),
                  config.momentum > 0.0 ? std::vector<std::string>{"momentum_buffer"} : std::vector<std::string>{}),
        momentum_(static_cast<float>(config.momentum)),
        nesterov_(nesterov) {}

 protected:
  void begin_step(const std::vector<NamedParameter>&, double grad_scale) override {
    grad_scale_ = static_cast<float>(grad_scale);
  }

  void update(size_t slot, int64_t, const Arrays& arrays) override {
    const float lr = static_cast<float>(slots_[slot].lr);
    const float decay = static_cast<float>(settings_[slot].weight_decay);
    // The buffer starts as zeros; momentum 0 in the first step makes it the gradient.
    const float momentum = slots_[slot].steps > 1 ? momentum_ : 0.0f;
    for (int64_t i = 0; i < arrays.count; ++i) {
      float g = grad_scale_ * arrays.g[i] + decay * arrays.p[i];
      if (arrays.a) {
        arrays.a[i] = momentum * arrays.a[i] + g;
        g = nesterov_ ? g + momentum_ * arrays.a[i] : arrays.a[i];
      }
      arrays.p[i] -= lr * g;
    }
  }

 private:
  float momentum_;
  bool nesterov_;
  float grad_scale_ = 1.0f;
};

template <bool nesterov>
std::unique_ptr<Optimizer> make_sgd(const OptimizerConfig& config, const std::vector<NamedParameter>& parameters,
                                    std::vector<ParamSettings> settings) {
  return std::make_unique<Sgd>(config, nesterov, parameters, std::move(settings));
}

VITKIT_REGISTER_OPTIMIZER("sgd", make_sgd<true>);
VITKIT_REGISTER_OPTIMIZER("nesterov", make_sgd<true>);
VITKIT_REGISTER_OPTIMIZER("momentum", make_sgd<false>);

}  // namespace

}  // namespace vit
