// Class attention (Touvron et al. 2021, "Going deeper with image transformers", section 3, eq. 2 to 5): the class token
// asks all tokens, and nobody else asks.
#pragma once

#include <optional>

#include "vit/core/config.h"
#include "vit/nn/attention.h"
#include "vit/nn/linear.h"

namespace vit {

struct ClassAttentionOptions {
  bool qkv_bias = true;
  bool packed = false;

  template <class V>
  void visit_fields(V& v) {
    v("qkv_bias", qkv_bias, "Biases of the query, key and value projections.");
    v("packed", packed, "One projection `qkv` (XCiT) in place of `q`, `k` and `v` (CaiT).");
  }
};

/// Prefix tokens are the queries, all tokens keys and values. Patch tokens get zeros (through a skip connection: they
/// stay as they are), and "probs" and "scores" have the rows of the prefix tokens only: [B, H, prefix, N]. With
/// wanted_tokens = prefix tokens nothing is computed or copied for the patches.
class ClassAttention : public Attention {
 public:
  using Options = ClassAttentionOptions;
  /// Errors (usage): dim is not divisible by num_heads.
  ClassAttention(const AttentionShape& shape, const ClassAttentionOptions& options);
  /// Errors: there are no prefix tokens.
  Var forward(Context& ctx, const Var& x, const AttentionInput& input) const override;

 private:
  struct Heads {
    HeadColumns q, k, v;
  };
  Heads project(Context& ctx, const Var& x, int64_t asking) const;

  int64_t dim_, heads_, head_dim_;
  std::optional<Linear> q_, k_, v_;
  std::optional<Linear> qkv_;
  Linear proj_;
};

}  // namespace vit
