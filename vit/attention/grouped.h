// What the mechanisms that look at groups of patch tokens (blocks, dilated grids, axes, neighbourhoods) have in common:
// prefix tokens are global, everything else goes through the one op grouped_attention.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/autograd/attention_ops.h"
#include "vit/nn/attention.h"

namespace vit {

/// Heads of a packed projection, and the groups in which they work.
struct GroupedHeads {
  HeadColumns q, k, v;  ///< of all tokens, prefix tokens first
  int64_t heads = 1, head_dim = 0;
  TokenGroups groups;  ///< of the patch tokens, counted without the prefix; keys may differ between samples
  Var bias{};          ///< [H or 1, Mq, Mk], added to each group's scores; undefined: none
  /// Masks of some groups and what keys of -1 hold, as GroupedAttentionOptions has them; undefined: none.
  Tensor mask{}, mask_of{};
  Var filler{};
};

/// softmax(q k^T / sqrt(D) + bias) v within the groups; prefix tokens look at every token and are seen by every group.
/// Each entry of `parts` is some of the layer's heads: q, k, v [B, P + N, *] -> [B, P + N, sum of H * D], or the first
/// input.wanted_tokens of them. Offers "probs" and "scores". Errors (usage): input.bias is given, which has no place
/// among groups.
Var attend_in_groups(Context& ctx, const std::vector<GroupedHeads>& parts, const AttentionInput& input);

/// A group's bias where plain attention wants it: [H or 1, Nq, Nk], -inf where a token cannot look, with prefix tokens
/// in front of both. For observers: memory O(N^2), not differentiable.
Tensor spread_group_bias(const TokenGroups& groups, const Var& bias, int64_t tokens, int64_t prefix_tokens);

}  // namespace vit
