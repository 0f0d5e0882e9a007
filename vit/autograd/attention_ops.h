// Fused attention beyond the plain one of ops.h: within groups of tokens (windows, grids, axes, neighbourhoods,
// regions) and between channels.
#pragma once

#include <cstdint>

#include "vit/autograd/ops.h"

namespace vit {

/// Which tokens answer together, and at which they look. One table serves every head.
struct TokenGroups {
  /// i64 [G, Mq]: the queries of each group. Every token is in exactly one place, or (-1) there is no query.
  Tensor queries;
  /// i64 [G, Mk], or [B, G, Mk] where samples differ: the keys that they see; -1 stands for the filler's key and value,
  /// or for nothing where there is no filler. A token may be in several groups.
  Tensor keys;
};

struct GroupedAttentionOptions {
  int64_t heads = 1;
  int64_t head_dim = 0;
  float scale = 0.0f;
  Var bias{};  ///< [H or 1, Mq, Mk], added to the scores of every group (relative positions); or undefined
  /// f32 [K, Mq, Mk], added to the scores of those groups that `mask_of` sends to one of them (shifted windows); or
  /// undefined.
  Tensor mask{};
  Tensor mask_of{};  ///< i64 [G]: the group's mask, or -1 for none
  /// What places of -1 in `keys` hold: a row like one of the tokens' ([columns of k's tensor]), from which k and v take
  /// their own columns; Swin pads windows with tokens of zeros, whose projection is the bias. Undefined: such keys are
  /// not there. k and v then must lie in the same tensor.
  Var filler{};
};

/// Exact attention of each query over the keys of its group: softmax(scale * q k^T + bias + mask) v, without copying
/// windows apart (windows: Liu et al. 2021, "Swin transformer", section 3.2). q [B, Nq, *], k and v [B, Nk, *] -> [B,
/// Nq, H * D]. Errors: shapes or indices do not match, a token that no group has as a query.
Var grouped_attention(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
                      const TokenGroups& groups, const GroupedAttentionOptions& options);

/// The probabilities of the same attention, for observers, spread over all tokens: [B, H, Nq, Nk], zeros where a query
/// cannot look. Memory O(N^2), not differentiable.
Tensor grouped_attention_probs(Context& ctx, const HeadColumns& q, const HeadColumns& k, const TokenGroups& groups,
                               const GroupedAttentionOptions& options);

struct ChannelAttentionOptions {
  int64_t heads = 1;  ///< groups of channels that attend among themselves
  int64_t head_dim = 0;
  float scale = 1.0f;
  Var temperature{};       ///< [H], a factor on each head's scores; or undefined
  bool normalize = false;  ///< q and k are divided by their norms over the tokens (eps 1e-12), as XCiT does
};

/// Attention between channels: out_n = softmax(scale * q^T k) v_n for each token n, where the D x D matrix q^T k is
/// summed over the tokens and its rows are q's channels (XCiT: El-Nouby et al. 2021, eq. 2; DaViT's channel groups are
/// the same with (k, v, q) in place of (q, k, v): Ding et al. 2022, eq. 4). Reads the columns in place, transposes
/// nothing: O(N C D). -> [B, N, H * D].
Var channel_attention(Context& ctx, const HeadColumns& q, const HeadColumns& k, const HeadColumns& v,
                      const ChannelAttentionOptions& options);

/// The D x D probabilities: [B, H, D, D].
Tensor channel_attention_probs(Context& ctx, const HeadColumns& q, const HeadColumns& k,
                               const ChannelAttentionOptions& options);

}  // namespace vit
