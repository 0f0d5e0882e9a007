// Cross-covariance attention (El-Nouby et al. 2021, "XCiT: cross-covariance image transformers", section 3.2, eq. 2):
// channels look at channels, by the correlation of queries and keys over the tokens.
#pragma once

#include "vit/core/config.h"
#include "vit/nn/attention.h"
#include "vit/nn/linear.h"

namespace vit {

struct CrossCovarianceOptions {
  bool qkv_bias = true;
  bool proj_bias = true;

  template <class V>
  void visit_fields(V& v) {
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
  }
};

/// All tokens take part, prefix tokens like others. Parameters: qkv.*, temperature [H, 1, 1], proj.* (timm's XCA).
/// Observed: "channel_probs", [B, H, D, D].
class CrossCovarianceAttention : public Attention {
 public:
  using Options = CrossCovarianceOptions;
  /// Errors (usage): dim is not divisible by num_heads.
  CrossCovarianceAttention(const AttentionShape& shape, const CrossCovarianceOptions& options);
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 private:
  int64_t dim_, heads_, head_dim_;
  Parameter temperature_;
  Linear qkv_, proj_;
};

}  // namespace vit
