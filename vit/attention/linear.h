// Linear attention (Katharopoulos et al. 2020, "Transformers are RNNs"): the softmax is replaced by a product of
// features, so that keys and values are summed once for all queries.
#pragma once

#include "vit/nn/attention.h"
#include "vit/nn/linear.h"

namespace vit {

/// What makes scores of queries and keys positive.
enum class FeatureMap {
  elu,   ///< elu(x) + 1 (Katharopoulos et al. 2020, eq. 7)
  relu,  ///< max(x, 0) (Cai et al. 2023, EfficientViT, eq. 2)
};

struct LinearAttentionOptions {
  bool qkv_bias = true;
  bool proj_bias = true;
  float eps = 1e-6f;

  template <class V>
  void visit_fields(V& v) {
    v("qkv_bias", qkv_bias, "Bias of the packed query, key and value projection.");
    v("proj_bias", proj_bias, "Bias of the last projection.");
    v("eps", eps, "Added to each query's sum of scores, by which it is divided.", above(0));
  }
};

/// y_n = phi(q_n) (sum_m phi(k_m) v_m^T) / (phi(q_n) sum_m phi(k_m) + eps), per head (eq. 5 and 6 there). "probs" are
/// phi(q) phi(k)^T over their row sums.
class LinearAttention : public Attention {
 public:
  using Options = LinearAttentionOptions;
  /// Errors: dim is not divisible by num_heads.
  LinearAttention(const AttentionShape& shape, const LinearAttentionOptions& options)
      : LinearAttention("linear", FeatureMap::elu, shape, options) {}
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 protected:
  LinearAttention(std::string name, FeatureMap features, const AttentionShape& shape,
                  const LinearAttentionOptions& options);

 private:
  Var features(Context& ctx, const HeadColumns& columns) const;

  std::string name_;
  FeatureMap features_;
  int64_t dim_, heads_, head_dim_;
  float eps_;
  Linear qkv_, proj_;
};

}  // namespace vit
