// LAMB: You et al. 2020, "Large batch optimization for deep learning", algorithm 2, as timm/optim/lamb.py: the
// gradient's global norm is bounded by 1 first, and parameters without weight decay take no trust ratio. timm's names:
// `lambc` bounds the ratio by 1, `lambw` decouples the weight decay.
#include <algorithm>
#include <cmath>

#include "vit/train/gradients.h"
#include "vit/train/optimizer.h"

namespace vit {

namespace {

constexpr double kMaxGradNorm = 1.0;

enum class LambKind { plain, clipped_trust, decoupled };

class Lamb : public Optimizer {
 public:
  Lamb(const OptimizerConfig& config, LambKind kind, const std::vector<NamedParameter>& parameters,
       std::vector<ParamSettings> settings)
      : Optimizer(parameters, std::move(settings), {"exp_avg", "exp_avg_sq"}),
        kind_(kind),
        betas_(config.opt_betas.value_or(std::array{0.9, 0.999})),
        eps_(static_cast<float>(config.opt_eps.value_or(1e-6))) {}

 protected:
  void begin_step(const std::vector<NamedParameter>& parameters, double grad_scale) override {
    const double norm = gradient_norm(parameters, grad_scale);
    grad_scale_ = static_cast<float>(grad_scale / std::max(norm / kMaxGradNorm, 1.0));
    // timm counts steps per group, whether a parameter had a gradient or not.
    const double steps = static_cast<double>(steps_);
    inv_correction1_ = static_cast<float>(1.0 / (1.0 - std::pow(betas_[0], steps)));
    inv_sqrt_correction2_ = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(betas_[1], steps)));
    squares_.assign(static_cast<size_t>(part_count()), {});
  }

  /// The running averages, and the norms of weight and update; the update itself is computed again when it is applied,
  /// which is cheaper than keeping it.
  void update(size_t slot, int64_t part, const Arrays& arrays) override {
    const float decay = static_cast<float>(settings_[slot].weight_decay);
    const float share1 = static_cast<float>(1.0 - betas_[0]), share2 = static_cast<float>(1.0 - betas_[1]);
    const float beta2 = static_cast<float>(betas_[1]);
    const float keep =
        kind_ == LambKind::decoupled ? static_cast<float>(1.0 - slots_[slot].lr * settings_[slot].weight_decay) : 1.0f;
    Squares squares;
    for (int64_t i = 0; i < arrays.count; ++i) {
      const float g = grad_scale_ * arrays.g[i];
      arrays.a[i] += share1 * (g - arrays.a[i]);
      arrays.b[i] = beta2 * arrays.b[i] + share2 * (g * g);
      arrays.p[i] *= keep;
      const double direction = direction_at(arrays, i, decay);
      squares.weight += static_cast<double>(arrays.p[i]) * arrays.p[i];
      squares.update += direction * direction;
    }
    squares_[static_cast<size_t>(part)] = squares;
  }

  void end_step() override {
    std::vector<Squares> totals(slots_.size());
    for (size_t part = 0; part < parts_.size(); ++part) {
      totals[parts_[part].parameter].weight += squares_[part].weight;
      totals[parts_[part].parameter].update += squares_[part].update;
    }
    for_parts([&](size_t slot, int64_t, const Arrays& arrays) {
      const float decay = static_cast<float>(settings_[slot].weight_decay);
      const float rate = static_cast<float>(slots_[slot].lr * trust_ratio(slot, totals[slot]));
      for (int64_t i = 0; i < arrays.count; ++i) arrays.p[i] -= rate * direction_at(arrays, i, decay);
    });
  }

 private:
  struct Squares {
    double weight = 0.0, update = 0.0;
  };

  float direction_at(const Arrays& arrays, int64_t i, float decay) const {
    const float denominator = std::sqrt(arrays.b[i]) * inv_sqrt_correction2_ + eps_;
    const float direction = arrays.a[i] * inv_correction1_ / denominator;
    return kind_ == LambKind::decoupled ? direction : direction + decay * arrays.p[i];
  }

  double trust_ratio(size_t slot, const Squares& squares) const {
    if (settings_[slot].weight_decay == 0.0) return 1.0;
    if (!(squares.weight > 0.0) || !(squares.update > 0.0)) return 1.0;
    const double ratio = std::sqrt(squares.weight) / std::sqrt(squares.update);
    return kind_ == LambKind::clipped_trust ? std::min(ratio, 1.0) : ratio;
  }

  LambKind kind_;
  std::array<double, 2> betas_;
  float eps_;
  float grad_scale_ = 1.0f, inv_correction1_ = 1.0f, inv_sqrt_correction2_ = 1.0f;  // of the running step
  std::vector<Squares> squares_;                                                    // per part
};

template <LambKind kind>
std::unique_ptr<Optimizer> make_lamb(const OptimizerConfig& config, const std::vector<NamedParameter>& parameters,
                                     std::vector<ParamSettings> settings) {
  return std::make_unique<Lamb>(config, kind, parameters, std::move(settings));
}

VITKIT_REGISTER_OPTIMIZER("lamb", make_lamb<LambKind::plain>);
VITKIT_REGISTER_OPTIMIZER("lambc", make_lamb<LambKind::clipped_trust>);
VITKIT_REGISTER_OPTIMIZER("lambw", make_lamb<LambKind::decoupled>);

}  // namespace

}  // namespace vit
