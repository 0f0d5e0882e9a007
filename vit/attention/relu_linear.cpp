// ReLU linear attention, the global part of EfficientViT's multi-scale attention (Cai et al. 2023, "EfficientViT:
// multi-scale linear attention for high-resolution dense prediction", eq. 2): linear attention with another feature
// map. Its aggregation of neighbouring tokens belongs to that backbone's convolutions and is not part of this.
#include "vit/attention/linear.h"

namespace vit {

namespace {

struct ReluLinearOptions : LinearAttentionOptions {
  ReluLinearOptions() : LinearAttentionOptions{.qkv_bias = false, .eps = 1e-5f} {}
};

class ReluLinearAttention : public LinearAttention {
 public:
  using Options = ReluLinearOptions;
  ReluLinearAttention(const AttentionShape& shape, const ReluLinearOptions& options)
      : LinearAttention("relu_linear", FeatureMap::relu, shape, options) {}
};

}  // namespace

VITKIT_REGISTER_ATTENTION("relu_linear", ReluLinearAttention, .family = AttentionFamily::spatial,
                          .summary = "linear attention with features that are often zero",
                          .formula = "phi(q) (phi(k)^T v) / (phi(q) phi(k)^T 1 + eps), phi(x) = max(x, 0), per head",
                          .source = "Cai et al. 2023, EfficientViT, eq. 2", .complexity = "O(N C D)",
                          .equivariance = Equivariance::tokens, .smooth = false);

}  // namespace vit
