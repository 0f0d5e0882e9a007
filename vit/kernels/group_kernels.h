// Kernels of attention within groups of tokens (windows, grids, axes, neighbourhoods, regions): a table of their own
// beside kernels.h, under the same rules.
#pragma once

#include <cstdint>

namespace vit::kernels {

/// One group of one (sample, head): which rows of q, k and v take part. Strides are between tokens; packed qkv is read
/// in place.
struct TokenGroup {
  const float* q = nullptr;  ///< [tokens, qk_dim]
  int64_t q_stride = 0;
  const float* k = nullptr;  ///< [tokens, qk_dim]
  int64_t k_stride = 0;
  const float* v = nullptr;  ///< [tokens, v_dim]
  int64_t v_stride = 0;
  const int64_t* queries = nullptr;  ///< [q_rows]: rows of q; -1: there is no query
  const int64_t* keys = nullptr;     ///< [kv_rows]: rows of k and v; -1: the filler's, or nothing without one
  const float* filler_k = nullptr;   ///< [qk_dim]; null: keys of -1 are not there
  const float* filler_v = nullptr;   ///< [v_dim]; null with filler_k
  const float* bias = nullptr;       ///< optional [q_rows, kv_rows], added to the scaled scores; -inf hides
  const float* mask = nullptr;       ///< optional [q_rows, kv_rows], added as well
  int64_t q_rows = 0, kv_rows = 0, qk_dim = 0, v_dim = 0;
  float scale = 1.0f;  ///< factor on q k^T
};

/// out_i = softmax(scale * q k^T + bias + mask) v for the queries of the group. A query that sees nothing gives zeros,
/// and -inf in lse.
struct GroupedAttentionArgs {
  float* out = nullptr;  ///< [tokens, v_dim]; the rows of `queries` are written
  int64_t out_stride = 0;
  float* lse = nullptr;  ///< optional [tokens], likewise: log of the sum of exp(scores)
  TokenGroup group;
  /// What this thread will be given after this, or null: its rows are fetched into the cache meanwhile. It changes the
  /// time and nothing else.
  const TokenGroup* next = nullptr;
};

/// Gradients of the same, as AttentionGradArgs has them.
struct GroupedAttentionGradArgs {
  float* d_q = nullptr;  ///< [tokens, qk_dim]; the rows of `queries` are written
  int64_t d_q_stride = 0;
  float* d_k = nullptr;  ///< [tokens, qk_dim]; the rows of `keys`
  int64_t d_k_stride = 0;
  float* d_v = nullptr;  ///< [tokens, v_dim]; the rows of `keys`
  int64_t d_v_stride = 0;
  bool accumulate_kv = false;    ///< add to the rows of d_k and d_v; else no key may be there twice
  float* d_filler_k = nullptr;   ///< optional [qk_dim], added to
  float* d_filler_v = nullptr;   ///< optional [v_dim], added to; null with d_filler_k
  float* d_bias = nullptr;       ///< optional [q_rows, kv_rows], added to
  const float* d_out = nullptr;  ///< [tokens, v_dim]
  int64_t d_out_stride = 0;
  const float* out = nullptr;  ///< [tokens, v_dim], of the forward pass
  int64_t out_stride = 0;
  const float* lse = nullptr;  ///< [tokens], of the forward pass
  TokenGroup group;
};

struct GroupKernels {
  /// Floats of scratch that one running grouped_attention needs, 64-byte aligned.
  int64_t (*grouped_attention_workspace_size)(int64_t q_rows, int64_t kv_rows, int64_t qk_dim, int64_t v_dim);
  void (*grouped_attention)(const GroupedAttentionArgs& args, float* workspace);
  /// Likewise of grouped_attention_grad.
  int64_t (*grouped_attention_grad_workspace_size)(int64_t q_rows, int64_t kv_rows, int64_t qk_dim, int64_t v_dim);
  void (*grouped_attention_grad)(const GroupedAttentionGradArgs& args, float* workspace);
};

}  // namespace vit::kernels
