// Hard attention (Xu et al. 2015, "Show, attend and tell", section 4.1): each query looks at one entry of the memory,
// drawn from its probabilities. A draw has no gradient; two estimators stand in for it.
#pragma once

#include <cstdint>
#include <functional>

#include "vit/attention/additive.h"
#include "vit/attention/attention_weights.h"
#include "vit/core/config.h"

namespace vit {

enum class HardEstimator {
  reinforce,  ///< the trainer adds reinforce_loss() of what was drawn (Williams 1992)
  gumbel,     ///< straight-through Gumbel-softmax (Jang et al. 2017): draws forward, a softmax's gradient backward
};
const EnumNames<HardEstimator>& enum_names(HardEstimator);

/// What a query sees where nothing is trained.
enum class HardInference {
  expectation,  ///< the mean under the probabilities
  argmax,       ///< the likeliest entry
};
const EnumNames<HardInference>& enum_names(HardInference);

struct HardAttentionOptions {
  HardEstimator estimator = HardEstimator::gumbel;
  HardInference inference = HardInference::expectation;
  float temperature = 1.0f;
  int64_t attention_dim = 0;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("estimator", estimator, "Gradient of the draw in training; reinforce needs a trainer that listens to the draws.");
    v("inference", inference, "What a query sees at inference.");
    v("temperature", temperature, "Of the Gumbel-softmax; near 0 it is as sharp as the draw.", above(0));
    v("attention_dim", attention_dim, "Hidden width of the scoring network; 0: the tokens' width.",
      between(0, 1 << 16));
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

/// What one forward pass drew in training.
struct HardSample {
  Tensor index;  ///< i64 [B, T]: the entry that each query looked at
  Var log_prob;  ///< [B, T]: logarithm of its probability
  Var entropy;   ///< [B, T], of the probabilities, in nats
};

class HardAttention : public Attention, public WeightsSource {
 public:
  using Options = HardAttentionOptions;
  HardAttention(const AttentionShape& shape, const HardAttentionOptions& options);
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

  /// Called in training with every draw of the `reinforce` estimator, while the tape records: a trainer collects them
  /// for reinforce_loss(). forward() refuses (usage) to draw while a tape records and nobody listens, because the
  /// scores would get no gradient, and to draw for a listener without a tape, as gradient checkpointing does first.
  void listen(std::function<void(const HardSample&)> listener) { listener_ = std::move(listener); }
  HardEstimator estimator() const { return options_.estimator; }

 private:
  Var look(Context& ctx, const Var& scores, const Var& memory) const;
  Var draw(Context& ctx, const Var& weights, const Var& memory) const;
  Var draw_gumbel(Context& ctx, const Var& scores, const Var& memory) const;

  HardAttentionOptions options_;
  int64_t memory_dim_;
  AdditiveScore score_;
  Linear proj_;
  std::function<void(const HardSample&)> listener_;
};

/// The moving average of rewards (section 4.1): b <- decay b + (1 - decay) r. The first reward is the first baseline.
class MovingBaseline {
 public:
  explicit MovingBaseline(double decay = 0.9) : decay_(decay) {}
  double value() const { return value_; }
  void update(double reward);

 private:
  double decay_, value_ = 0.0;
  bool started_ = false;
};

struct ReinforceOptions {
  float reward_weight = 1.0f;   ///< lambda_r
  float entropy_weight = 0.0f;  ///< lambda_e: keeps the probabilities from hardening early
};

/// -mean over samples of lambda_r (reward_b - baseline) sum_t log_prob_bt + lambda_e sum_t entropy_bt, a scalar whose
/// gradient is the REINFORCE estimate (section 4.1, eq. 12); to be added to the loss. reward f32 [B], such as the
/// log-likelihood of each sample's answer. Errors: shapes do not match.
Var reinforce_loss(Context& ctx, const HardSample& sample, const Tensor& reward, double baseline,
                   const ReinforceOptions& options = {});

}  // namespace vit
