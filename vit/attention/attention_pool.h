// Attention pooling with learned queries (Lee et al. 2019, "Set transformer", section 3.2, PMA; timm's
// AttentionPoolLatent, the `map` head of Zhai et al. 2022 and of SigLIP).
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "vit/autograd/names.h"
#include "vit/nn/attention.h"
#include "vit/nn/linear.h"
#include "vit/nn/mlp.h"
#include "vit/nn/norm.h"

namespace vit {

/// How several latents become one vector.
enum class LatentPool { token, avg };
const std::vector<std::pair<LatentPool, std::string>>& enum_names(LatentPool);

struct AttentionPoolOptions {
  int64_t latent_len = 1;
  bool qkv_bias = true;
  NormKind qk_norm = NormKind::identity;
  NormKind norm = NormKind::layer_norm;
  float norm_eps = 1e-6f;
  double mlp_ratio = 4.0;
  Activation act = Activation::gelu;
  LatentPool pool_type = LatentPool::token;

  template <class V>
  void visit_fields(V& v) {
    v("latent_len", latent_len, "Learned queries.", between(1, 1 << 16));
    v("qkv_bias", qkv_bias, "Biases of the query, key and value projections.");
    v("qk_norm", qk_norm, "Normalises queries and keys, per head, before their product.");
    v("norm", norm, "Normalises what was pooled before the MLP.");
    v("norm_eps", norm_eps, "Epsilon of all norms.", above(0));
    v("mlp_ratio", mlp_ratio, "Hidden width of the MLP as a multiple of the tokens' width.", above(0));
    v("act", act, "Activation of the MLP.");
    v("pool_type", pool_type, "How several latents become one vector: the first, or their mean.");
  }
};

/// As a block's mechanism it gives every token the pooled vector: all see one summary of the sequence.
class AttentionPool : public Attention {
 public:
  using Options = AttentionPoolOptions;
  /// Errors: dim is not divisible by num_heads.
  AttentionPool(const AttentionShape& shape, const AttentionPoolOptions& options);

  /// tokens [B, N, C] -> the latents after they have looked at them, [B, latent_len, C]. `bias` is added to the scores,
  /// as attention() takes it, or undefined.
  Var latents(Context& ctx, const Var& tokens, const Var& bias = {}) const;
  /// tokens [B, N, C] -> [B, C]: the latents, pooled.
  Var pool(Context& ctx, const Var& tokens, const Var& bias = {}) const;

  /// memory, or x itself, pooled: the same vector for each token.
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 private:
  int64_t dim_, heads_, head_dim_, memory_dim_;
  LatentPool pool_type_;
  Parameter latent_;
  Linear q_, kv_;
  Norm q_norm_, k_norm_;
  Linear proj_;
  Norm norm_;
  Mlp mlp_;
};

}  // namespace vit
