// Gradients of exact attention of one (batch, head), recomputed block by block from the log-sum-exp (Dao et al. 2022,
// algorithm 4). All five products are the register tiles of gemm.inl.h and gemm_transposed.inl.h.
//
// Keys and values are packed once: k^T and v^T in panels of keys for s = q k^T and d_p = d_out v^T, k in panels of
// channels for d_q = d_s k. Queries are taken in chunks, keys in blocks; of a chunk and a block, p and d_s exist, and
// d_k, d_v of all keys are summed up in the workspace. As in attention.inl.h, scores are in units of log 2: q is
// multiplied by scale * log2 e, which d_k = d_s^T q then has to undo.
#pragma once

#include "vit/kernels/attention.inl.h"
#include "vit/kernels/gemm_transposed.inl.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

inline constexpr int64_t kGradQueries = 192;               ///< queries per chunk
inline constexpr int64_t kGradKeys = 128;                  ///< keys per block, a multiple of every panel's width
inline constexpr int64_t kGradStride = kGradKeys + kLine;  ///< rows of p and d_s must not share L1 sets

/// Where things are in the workspace. Widths are dimensions in whole vectors; rows of that width are aligned.
template <class S>
struct AttentionGradScratch {
  KvLayout<S> layout;  ///< of packed_k: k^T in panels of keys, k in panels of channels
  int64_t qk_width, v_width, size;
  float *packed_k, *packed_v, *d_k, *d_v, *q, *d_q, *d_out, *p, *d_s, *tile, *delta, *shift;
  AttentionGradScratch(float* base, int64_t q_rows, int64_t kv_rows, int64_t qk_dim, int64_t v_dim)
      : layout{kv_rows, qk_dim, qk_dim},
        qk_width(ceil_div(qk_dim, S::kWidth) * S::kWidth),
        v_width(ceil_div(v_dim, S::kWidth) * S::kWidth) {
    int64_t used = 0;
    const auto take = [&](int64_t floats) {
      const int64_t at = used;
      used += ceil_div(floats, kLine) * kLine;
      return base ? base + at : nullptr;
    };
    const int64_t rows = min_of(q_rows, kGradQueries);
    packed_k = take(layout.size());
    packed_v = take(layout.key_panels() * kPanelWidth<S> * v_dim);
    d_k = take(kv_rows * qk_width);
    d_v = take(kv_rows * v_width);
    q = take(rows * qk_width);
    d_q = take(rows * qk_width);
    d_out = take(rows * v_width);
    p = take(rows * kGradStride);
    d_s = take(rows * kGradStride);
    tile = take(S::kTileRows * kPanelWidth<S>);
    delta = take(rows);
    shift = take(rows);
    size = used;
  }
};

template <class S>
int64_t attention_grad_workspace_size(int64_t q_rows, int64_t kv_rows, int64_t qk_dim, int64_t v_dim) {
  return AttentionGradScratch<S>(nullptr, q_rows, kv_rows, qk_dim, v_dim).size;
}

/// Packs keys and values, and clears the sums of d_k and d_v.
template <class S>
void attention_grad_pack(const AttentionGradArgs& args, const AttentionGradScratch<S>& scratch) {
  attention_pack<S>(scratch.packed_k, args.k, args.k_stride, args.k, args.k_stride, args.kv_rows, args.qk_dim,
                    args.qk_dim, 0, args.kv_rows);
  for (int64_t p = 0; p < scratch.layout.key_panels(); ++p) {
    const Panel<S> panel(args.kv_rows, p);
    const int64_t key = p * kPanelWidth<S>;
    pack_columns<S>(scratch.packed_v + key * args.v_dim, panel.width(), args.v + key * args.v_stride, args.v_stride, 1,
                    panel.cols, args.v_dim);
  }
  for (int64_t i = 0; i < args.kv_rows * scratch.qk_width; i += S::kWidth)
    S::store_aligned(scratch.d_k + i, typename S::V(0.0f));
  for (int64_t i = 0; i < args.kv_rows * scratch.v_width; i += S::kWidth)
    S::store_aligned(scratch.d_v + i, typename S::V(0.0f));
}

/// Copies one chunk of queries and of the output's gradient into aligned rows; gives the rows' delta = d_out . out and
/// shift = lse in units of log 2. A row without keys (lse of -inf) gets a shift of +inf: all its powers are zero.
template <class S>
void attention_grad_chunk(const AttentionGradArgs& args, const AttentionGradScratch<S>& scratch, int64_t q0,
                          int64_t rows) {
  using V = typename S::V;
  const V factor(args.scale * kLog2e);
  for (int64_t i = 0; i < rows; ++i) {
    const float* q = args.q + (q0 + i) * args.q_stride;
    for (int64_t d = 0; d < args.qk_dim; d += S::kWidth)
      S::store_aligned(scratch.q + i * scratch.qk_width + d, load_some<S>(q + d, args.qk_dim - d) * factor);
    const float *d_out = args.d_out + (q0 + i) * args.d_out_stride, *out = args.out + (q0 + i) * args.out_stride;
    V delta(0.0f);
    for (int64_t d = 0; d < args.v_dim; d += S::kWidth) {
      const V v = load_some<S>(d_out + d, args.v_dim - d);
      S::store_aligned(scratch.d_out + i * scratch.v_width + d, v);
      delta = S::fma(v, load_some<S>(out + d, args.v_dim - d), delta);
    }
    scratch.delta[i] = S::reduce_add(delta);
    const float lse = args.lse[q0 + i];
    scratch.shift[i] = lse == -kInfinity ? kInfinity : lse * kLog2e;
    for (int64_t d = 0; d < scratch.qk_width; d += S::kWidth)
      S::store_aligned(scratch.d_q + i * scratch.qk_width + d, V(0.0f));
  }
}

/// A tile of scores and of d_p, rows x keys, becomes p = 2^(s - shift) and d_s = p * (d_p - delta). Columns from `keys`
/// up to whole vectors become whatever; nothing uses them. bias and d_bias are those of the tile's first element.
template <class S>
__attribute__((noinline)) void attention_grad_tile(float* p, float* d_s, const float* shift, const float* delta,
                                                   int64_t rows, int64_t keys, const float* bias, int64_t bias_stride,
                                                   float* d_bias, int64_t d_bias_stride) {
  using V = typename S::V;
  for (int64_t i = 0; i < rows; ++i) {
    float *p_i = p + i * kGradStride, *d_s_i = d_s + i * kGradStride;
    const V shift_i(shift[i]), delta_i(delta[i]);
    for (int64_t j = 0; j < keys; j += S::kWidth) {
      V s = S::load_aligned(p_i + j);
      if (bias) s = S::fma(load_some<S>(bias + i * bias_stride + j, keys - j), V(kLog2e), s);
      const V p_ij = exp2_nonpositive<S>(s - shift_i);
      const V d_s_ij = p_ij * (S::load_aligned(d_s_i + j) - delta_i);
      S::store_aligned(p_i + j, p_ij);
      S::store_aligned(d_s_i + j, d_s_ij);
      if (d_bias) {
        float* d_bias_ij = d_bias + i * d_bias_stride + j;
        store_some<S>(d_bias_ij, load_some<S>(d_bias_ij, keys - j) + d_s_ij, keys - j);
      }
    }
  }
}

/// p and d_s of one chunk of queries and one block of keys.
template <class S>
void attention_grad_scores(const AttentionGradArgs& args, const AttentionGradScratch<S>& scratch, int64_t q0,
                           int64_t rows, int64_t key, int64_t keys) {
  const RowTiles<S> tiles(0, rows);
  for (int64_t j = 0; j < keys; j += kPanelWidth<S>) {
    const int64_t panel_index = (key + j) / kPanelWidth<S>;
    const Panel<S> panel(args.kv_rows, panel_index);
    const float* k_p = scratch.packed_k + scratch.layout.key_panel(panel_index);
    const float* v_p = scratch.packed_v + (key + j) * args.v_dim;
    for (int64_t t = 0; t < tiles.count; ++t) {
      const int64_t row = tiles.first_row(t), tile_rows = tiles.first_row(t + 1) - row;
      const auto multiply = Tiles<S>::dense(tile_rows, panel.vectors);
      float *p = scratch.p + row * kGradStride + j, *d_s = scratch.d_s + row * kGradStride + j;
      multiply(p, kGradStride, scratch.q + row * scratch.qk_width, scratch.qk_width, k_p, args.qk_dim);
      multiply(d_s, kGradStride, scratch.d_out + row * scratch.v_width, scratch.v_width, v_p, args.v_dim);
      const float* bias = args.bias ? args.bias + (q0 + row) * args.bias_stride + key + j : nullptr;
      float* d_bias = args.d_bias ? args.d_bias + (q0 + row) * args.d_bias_stride + key + j : nullptr;
      attention_grad_tile<S>(p, d_s, scratch.shift + row, scratch.delta + row, tile_rows, panel.cols, bias,
                             args.bias_stride, d_bias, args.d_bias_stride);
    }
  }
}

/// sums [keys, width] += scores [rows, keys]^T * x [rows, width]: a block's share of d_k or d_v.
template <class S>
void attention_grad_keys(float* sums, const float* scores, const float* x, int64_t width, int64_t keys, int64_t rows) {
  const RowTiles<S> tiles(0, keys);
  for (int64_t d = 0; d < width; d += kPanelWidth<S>) {
    const int64_t vectors = min_of(kPanelWidth<S>, width - d) / S::kWidth;
    for (int64_t t = 0; t < tiles.count; ++t) {
      const int64_t key = tiles.first_row(t);
      TransposedTiles<S>::get(tiles.first_row(t + 1) - key, vectors)(sums + key * width + d, width, scores + key,
                                                                     kGradStride, x + d, width, rows, true, {x, 0});
    }
  }
}

/// d_q [rows, qk_dim] += d_s [rows, keys] * k.
template <class S>
void attention_grad_queries(const AttentionGradArgs& args, const AttentionGradScratch<S>& scratch, int64_t rows,
                            int64_t key, int64_t keys) {
  const RowTiles<S> tiles(0, rows);
  for (int64_t panel_index = 0; panel_index < scratch.layout.value_panels(); ++panel_index) {
    const Panel<S> panel(args.qk_dim, panel_index);
    const float* k_p = scratch.packed_k + scratch.layout.value_panel(panel_index) + key * panel.width();
    for (int64_t t = 0; t < tiles.count; ++t) {
      const int64_t row = tiles.first_row(t), tile_rows = tiles.first_row(t + 1) - row;
      Tiles<S>::dense(tile_rows, panel.vectors)(scratch.tile, panel.width(), scratch.d_s + row * kGradStride,
                                                kGradStride, k_p, keys);
      for (int64_t i = 0; i < tile_rows; ++i) {
        float* d_q = scratch.d_q + (row + i) * scratch.qk_width + panel_index * kPanelWidth<S>;
        for (int64_t d = 0; d < panel.width(); d += S::kWidth)
          S::store_aligned(d_q + d, S::load_aligned(d_q + d) + S::load_aligned(scratch.tile + i * panel.width() + d));
      }
    }
  }
}

/// y [rows, cols] = factor * x, added to y when `accumulate`; rows of x are `width` apart.
template <class S>
void attention_grad_store(float* y, int64_t y_stride, const float* x, int64_t width, int64_t rows, int64_t cols,
                          float factor, bool accumulate) {
  using V = typename S::V;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t d = 0; d < cols; d += S::kWidth) {
      V v = S::load_aligned(x + i * width + d) * V(factor);
      float* y_id = y + i * y_stride + d;
      if (accumulate) v = v + load_some<S>(y_id, cols - d);
      store_some<S>(y_id, v, cols - d);
    }
}

template <class S>
void attention_grad(const AttentionGradArgs& args, float* workspace) {
  const AttentionGradScratch<S> scratch(workspace, args.q_rows, args.kv_rows, args.qk_dim, args.v_dim);
  attention_grad_pack<S>(args, scratch);
  for (int64_t q0 = 0; q0 < args.q_rows; q0 += kGradQueries) {
    const int64_t rows = min_of(kGradQueries, args.q_rows - q0);
    attention_grad_chunk<S>(args, scratch, q0, rows);
    for (int64_t key = 0; key < args.kv_rows; key += kGradKeys) {
      const int64_t keys = min_of(kGradKeys, args.kv_rows - key);
      attention_grad_scores<S>(args, scratch, q0, rows, key, keys);
      attention_grad_keys<S>(scratch.d_v + key * scratch.v_width, scratch.p, scratch.d_out, scratch.v_width, keys,
                             rows);
      attention_grad_keys<S>(scratch.d_k + key * scratch.qk_width, scratch.d_s, scratch.q, scratch.qk_width, keys,
                             rows);
      attention_grad_queries<S>(args, scratch, rows, key, keys);
    }
    attention_grad_store<S>(args.d_q + q0 * args.d_q_stride, args.d_q_stride, scratch.d_q, scratch.qk_width, rows,
                            args.qk_dim, args.scale, false);
  }
  attention_grad_store<S>(args.d_k, args.d_k_stride, scratch.d_k, scratch.qk_width, args.kv_rows, args.qk_dim, kLn2,
                          args.accumulate_kv);
  attention_grad_store<S>(args.d_v, args.d_v_stride, scratch.d_v, scratch.v_width, args.kv_rows, args.v_dim, 1.0f,
                          args.accumulate_kv);
}

}  // namespace
}  // namespace vit::kernels
