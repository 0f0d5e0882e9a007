// Token merging (Bolya et al. 2023, "Token merging: your ViT but faster"): in each block, between attention and MLP,
// the r most similar pairs of tokens become one. Works with trained weights, and while training.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/core/config.h"
#include "vit/nn/attention.h"

namespace vit {

struct TokenMergingOptions {
  ConfigNode r = ConfigNode::make_scalar("0", false);
  double inflect = 0.0;
  bool proportional = true;

  template <class V>
  void visit_fields(V& v) {
    v("r", r, "Tokens that each block merges away: a number, or a list of one per block; 0: none.");
    v("inflect", inflect,
      "For a number: the first block merges r (1 - inflect), the last r (1 + inflect), those between on a line.",
      between(-1, 1));
    v("proportional", proportional, "Scores grow by the logarithm of how many patches a token stands for.");
  }
  /// How many tokens each of `depth` blocks merges away. Errors (usage), at the node's place: no number and no list, a
  /// negative number, a list of another length.
  std::vector<int64_t> schedule(int64_t depth) const;
};

/// Which tokens become one.
struct TokenMatching {
  Tensor place;       ///< i64 [B, N]: where each token goes
  int64_t count = 0;  ///< places: N - r, or more where there are not enough tokens to merge
};

/// Bipartite soft matching (section 3, figure 2): tokens are split alternately into A and B; each of A finds the most
/// similar of B by the cosine of its keys, averaged over heads [B, N, H * D], and the r best pairs are merged. The
/// first `prefix_tokens` are left alone, and at most half of the others go. Places are numbered: the prefix, the tokens
/// of A that stay, the tokens of B. Among equal similarities the first wins. Not differentiable, as in the original.
TokenMatching match_tokens(Context& ctx, const HeadColumns& keys, int64_t heads, int64_t head_dim,
                           int64_t prefix_tokens, int64_t r);

/// What the blocks' tokens stand for.
struct MergedTokens {
  Tensor sizes;   ///< f32 [B, N]: how many of the first tokens each is the mean of; undefined: one
  Tensor source;  ///< i64 [B, N0]: in which token each of the first is; undefined: its own

  /// log(sizes) as attention() takes a bias, [B, 1, 1, N]: proportional attention (eq. 1). Undefined where nothing was
  /// merged.
  Var bias(Context& ctx) const;
};

/// The merged tokens [B, count, C], means weighted by size; `merged` is brought up to date.
Var merge(Context& ctx, const Var& x, const TokenMatching& matching, MergedTokens& merged);

}  // namespace vit
