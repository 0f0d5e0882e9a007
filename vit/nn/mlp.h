// The feed-forward half of a transformer block, in its two forms.
#pragma once

#include "vit/nn/linear.h"
#include "vit/nn/norm.h"

namespace vit {

struct MlpOptions {
  int64_t dim = 0;                           ///< C
  int64_t hidden = 0;                        ///< F, the width between the two projections
  Activation activation = Activation::gelu;  ///< after fc1 (or on the gate, where gated)
  bool gated = false;                        ///< SwiGLU: fc1 yields [gate | value] and F is half its width
  bool bias = true;                          ///< of both projections
  NormKind norm = NormKind::identity;        ///< before fc2 (timm's scale_mlp_norm)
  float norm_eps = 1e-6f;
};

/// fc2(norm(activation(fc1(x)))) (timm.layers.Mlp), or fc2(norm(silu(gate) * value)) (timm.layers.SwiGLUPacked).
class Mlp : public Module {
 public:
  explicit Mlp(const MlpOptions& options);
  /// x [B, N, C] -> [B, N, C]; `residual` is the block's skip connection, fused into fc2. `drop` is the dropout of the
  /// hidden values in training.
  Var forward(Context& ctx, const Var& x, const LinearOptions& residual, float drop = 0.0f) const;

 private:
  MlpOptions options_;
  Linear fc1_;
  Norm norm_;
  Linear fc2_;
};

}  // namespace vit
