// Gradients of exact attention of one (batch, head), recomputed block by block from the log-sum-exp (Dao et al. 2022,
// algorithm 4). All five products are the register tiles of gemm.inl.h and gemm_transposed.inl.h.
//
// Keys and values are packed once: k^T and v^T in panels of keys for s = q k^T and d_p = d_out v^T, k in panels of
// channels for d_q = d_s k. Queries are taken in chunks, keys in blocks; of a chunk and a block, p and d_s exist. The
// factor `scale` is put into d_s, so that q and k are used as they are; exponents are in units of log 2.
//
// A head reads and writes some 8 N rows of 256 bytes, each a cache miss or four in a packed matrix: at N = 65 a quarter
// of the time, were they not fetched ahead between the tiles.
#pragma once

#include "vit/kernels/attention.inl.h"
#include "vit/kernels/fetch.inl.h"
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
  float *packed_k, *packed_v, *d_k, *d_v, *q, *d_out, *p, *d_s, *tile, *delta, *shift;
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
    d_k = take(qk_width == qk_dim ? 0 : kv_rows * qk_width);
    d_v = take(v_width == v_dim ? 0 : kv_rows * v_width);
    q = take(rows * qk_width);
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

/// What is fetched ahead while this head is worked on: its outputs and the operands of the next.
template <class S>
RowFetcher attention_grad_fetcher(const AttentionGradArgs& args) {
  RowFetcher fetcher;
  fetcher.add(args.d_q, args.d_q_stride, args.q_rows, args.qk_dim);
  fetcher.add(args.d_v, args.d_v_stride, args.kv_rows, args.v_dim);
  fetcher.add(args.d_k, args.d_k_stride, args.kv_rows, args.qk_dim);
  if (const AttentionGradArgs* next = args.next) {
    fetcher.add(next->k, next->k_stride, next->kv_rows, next->qk_dim);
    fetcher.add(next->v, next->v_stride, next->kv_rows, next->v_dim);
    fetcher.add(next->q, next->q_stride, next->q_rows, next->qk_dim);
    fetcher.add(next->d_out, next->d_out_stride, next->q_rows, next->v_dim);
    fetcher.add(next->out, next->out_stride, next->q_rows, next->v_dim);
  }
  const int64_t query_tiles = ceil_div(args.q_rows, S::kTileRows), key_tiles = ceil_div(args.kv_rows, S::kTileRows);
  fetcher.start(query_tiles * (ceil_div(args.kv_rows, kPanelWidth<S>) + ceil_div(args.kv_rows, kGradKeys)) +
                key_tiles * 2 * ceil_div(args.q_rows, kGradQueries));
  return fetcher;
}

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
}

/// Copies one chunk of queries and of the output's gradient into aligned rows; gives the rows' delta = d_out . out and
/// shift = -lse in units of log 2. With an lse of -inf (no keys) so is the shift, and all the row's powers are zero.
template <class S>
void attention_grad_chunk(const AttentionGradArgs& args, const AttentionGradScratch<S>& scratch, int64_t q0,
                          int64_t rows) {
  using V = typename S::V;
  for (int64_t i = 0; i < rows; ++i) {
    const float* q = args.q + (q0 + i) * args.q_stride;
    for (int64_t d = 0; d < args.qk_dim; d += S::kWidth)
      S::store_aligned(scratch.q + i * scratch.qk_width + d, load_some<S>(q + d, args.qk_dim - d));
    const float *d_out = args.d_out + (q0 + i) * args.d_out_stride, *out = args.out + (q0 + i) * args.out_stride;
    V delta(0.0f);
    for (int64_t d = 0; d < args.v_dim; d += S::kWidth) {
      const V v = load_some<S>(d_out + d, args.v_dim - d);
      S::store_aligned(scratch.d_out + i * scratch.v_width + d, v);
      delta = S::fma(v, load_some<S>(out + d, args.v_dim - d), delta);
    }
    scratch.delta[i] = S::reduce_add(delta);
    const float lse = args.lse[q0 + i];
    scratch.shift[i] = lse == -kInfinity ? -kInfinity : -lse * kLog2e;
  }
}

/// A tile of q k^T and of d_p, rows x keys, becomes p = 2^(log2 e (scale q k^T + bias) + shift) and scale * d_s, where
/// d_s = p (d_p - delta). Columns from `keys` up to whole vectors become whatever; nothing uses them. bias and d_bias
/// are those of the tile's first element, shift and delta of its first row.
template <class S>
__attribute__((noinline)) void attention_grad_tile(const AttentionGradArgs& args, float* p, float* d_s,
                                                   const float* shift, const float* delta, int64_t rows, int64_t keys,
                                                   const float* bias, float* d_bias) {
  using V = typename S::V;
  const V scale(args.scale), exponent_scale(args.scale * kLog2e), log2e(kLog2e);
  for (int64_t i = 0; i < rows; ++i) {
    float *p_i = p + i * kGradStride, *d_s_i = d_s + i * kGradStride;
    const V shift_i(shift[i]), delta_i(delta[i]);
    for (int64_t j = 0; j < keys; j += S::kWidth) {
      V exponent = S::fma(S::load_aligned(p_i + j), exponent_scale, shift_i);
      if (bias) exponent = S::fma(load_some<S>(bias + i * args.bias_stride + j, keys - j), log2e, exponent);
      const V p_ij = exp2_nonpositive<S>(exponent);
      const V d_s_ij = p_ij * (S::load_aligned(d_s_i + j) - delta_i);
      S::store_aligned(p_i + j, p_ij);
      S::store_aligned(d_s_i + j, d_s_ij * scale);
      if (d_bias) {
        float* d_bias_ij = d_bias + i * args.d_bias_stride + j;
        store_some<S>(d_bias_ij, load_some<S>(d_bias_ij, keys - j) + d_s_ij, keys - j);
      }
    }
  }
}

/// The rows of d_s sum to zero, because those of p sum to one; rounding of delta and of the log-sum-exp leaves a rest
/// of some 1e-7. It is taken out again, in proportion to p: the gradient of a bias of the keys, which is zero, else
/// becomes noise that an adaptive optimizer turns into steps. Only where one block has all keys of the rows.
template <class S>
void attention_grad_balance(const AttentionGradScratch<S>& scratch, int64_t rows, int64_t keys) {
  using V = typename S::V;
  for (int64_t i = 0; i < rows; ++i) {
    float *p = scratch.p + i * kGradStride, *d_s = scratch.d_s + i * kGradStride;
    V sum(0.0f);
    for (int64_t j = 0; j < keys; j += S::kWidth) sum = sum + load_some<S>(d_s + j, keys - j);
    const V rest(-S::reduce_add(sum));
    for (int64_t j = 0; j < keys; j += S::kWidth)
      S::store_aligned(d_s + j, S::fma(S::load_aligned(p + j), rest, S::load_aligned(d_s + j)));
  }
}

/// p and scale * d_s of one chunk of queries and one block of keys.
template <class S>
void attention_grad_scores(const AttentionGradArgs& args, const AttentionGradScratch<S>& scratch, int64_t q0,
                           int64_t rows, int64_t key, int64_t keys, RowFetcher& fetcher) {
  const RowTiles<S> tiles(0, rows);
  for (int64_t j = 0; j < keys; j += kPanelWidth<S>) {
    const int64_t panel_index = (key + j) / kPanelWidth<S>;
    const Panel<S> panel(args.kv_rows, panel_index);
    const float* k_p = scratch.packed_k + scratch.layout.key_panel(panel_index);
    const float* v_p = scratch.packed_v + (key + j) * args.v_dim;
    for (int64_t t = 0; t < tiles.count; ++t) {
      fetcher.turn();
      const int64_t row = tiles.first_row(t), tile_rows = tiles.first_row(t + 1) - row;
      const auto multiply = Tiles<S>::dense(tile_rows, panel.vectors);
      float *p = scratch.p + row * kGradStride + j, *d_s = scratch.d_s + row * kGradStride + j;
      multiply(p, kGradStride, scratch.q + row * scratch.qk_width, scratch.qk_width, k_p, args.qk_dim);
      multiply(d_s, kGradStride, scratch.d_out + row * scratch.v_width, scratch.v_width, v_p, args.v_dim);
      const float* bias = args.bias ? args.bias + (q0 + row) * args.bias_stride + key + j : nullptr;
      float* d_bias = args.d_bias ? args.d_bias + (q0 + row) * args.d_bias_stride + key + j : nullptr;
      attention_grad_tile<S>(args, p, d_s, scratch.shift + row, scratch.delta + row, tile_rows, panel.cols, bias,
                             d_bias);
    }
  }
  if (args.kv_rows <= kGradKeys) attention_grad_balance<S>(scratch, rows, keys);
}

/// Where d_k or d_v is summed up: in the output, or, when its rows are no whole vectors, in the workspace.
struct KeySums {
  float* sums;
  int64_t stride, width;
  bool add;  ///< to what is there
};
template <class S>
KeySums key_sums(float* output, int64_t output_stride, float* scratch, int64_t dim, int64_t width, bool accumulate,
                 int64_t q0) {
  if (width == dim) return {output, output_stride, width, accumulate || q0 > 0};
  return {scratch, width, width, q0 > 0};
}

/// sums [keys, width] = or += scores [rows, keys]^T * x [rows, width]: a block's share of d_k or d_v.
template <class S>
void attention_grad_keys(const KeySums& to, int64_t key0, int64_t keys, const float* scores, const float* x,
                         int64_t rows, RowFetcher& fetcher) {
  const RowTiles<S> tiles(0, keys);
  for (int64_t d = 0; d < to.width; d += kPanelWidth<S>) {
    const int64_t vectors = min_of(kPanelWidth<S>, to.width - d) / S::kWidth;
    for (int64_t t = 0; t < tiles.count; ++t) {
      fetcher.turn();
      const int64_t key = tiles.first_row(t);
      TransposedTiles<S>::get(tiles.first_row(t + 1) - key, vectors)(to.sums + (key0 + key) * to.stride + d, to.stride,
                                                                     scores + key, kGradStride, x + d, to.width, rows,
                                                                     to.add, {x, 0});
    }
  }
}

/// d_q [rows, qk_dim] = or += d_s [rows, keys] * k.
template <class S>
void attention_grad_queries(const AttentionGradArgs& args, const AttentionGradScratch<S>& scratch, int64_t q0,
                            int64_t rows, int64_t key, int64_t keys, RowFetcher& fetcher) {
  const RowTiles<S> tiles(0, rows);
  Epilogue epilogue;
  epilogue.accumulate = key > 0;
  for (int64_t panel_index = 0; panel_index < scratch.layout.value_panels(); ++panel_index) {
    const Panel<S> panel(args.qk_dim, panel_index);
    const float* k_p = scratch.packed_k + scratch.layout.value_panel(panel_index) + key * panel.width();
    for (int64_t t = 0; t < tiles.count; ++t) {
      fetcher.turn();
      const int64_t row = tiles.first_row(t), tile_rows = tiles.first_row(t + 1) - row;
      Tiles<S>::dense(tile_rows, panel.vectors)(scratch.tile, panel.width(), scratch.d_s + row * kGradStride,
                                                kGradStride, k_p, keys);
      finish_tile<S>(args.d_q + (q0 + row) * args.d_q_stride + panel_index * kPanelWidth<S>, args.d_q_stride,
                     scratch.tile, panel.width(), tile_rows, panel.cols, epilogue);
    }
  }
}

/// y [rows, cols] = sums, or += sums: what was summed up in the workspace, and zeros where there was no query.
template <class S>
void attention_grad_store(float* y, int64_t y_stride, const float* sums, int64_t width, int64_t rows, int64_t cols,
                          bool any_query, bool accumulate) {
  using V = typename S::V;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t d = 0; d < cols; d += S::kWidth) {
      V v = any_query ? S::load_aligned(sums + i * width + d) : V(0.0f);
      float* y_id = y + i * y_stride + d;
      if (accumulate) v = v + load_some<S>(y_id, cols - d);
      store_some<S>(y_id, v, cols - d);
    }
}

template <class S>
void attention_grad(const AttentionGradArgs& args, float* workspace) {
  const AttentionGradScratch<S> scratch(workspace, args.q_rows, args.kv_rows, args.qk_dim, args.v_dim);
  RowFetcher fetcher = attention_grad_fetcher<S>(args);
  attention_grad_pack<S>(args, scratch);
  for (int64_t q0 = 0; q0 < args.q_rows; q0 += kGradQueries) {
    const int64_t rows = min_of(kGradQueries, args.q_rows - q0);
    const KeySums d_v =
        key_sums<S>(args.d_v, args.d_v_stride, scratch.d_v, args.v_dim, scratch.v_width, args.accumulate_kv, q0);
    const KeySums d_k =
        key_sums<S>(args.d_k, args.d_k_stride, scratch.d_k, args.qk_dim, scratch.qk_width, args.accumulate_kv, q0);
    attention_grad_chunk<S>(args, scratch, q0, rows);
    // Once even without keys: d_q is then a sum over nothing.
    for (int64_t key = 0; key == 0 || key < args.kv_rows; key += kGradKeys) {
      const int64_t keys = min_of(kGradKeys, args.kv_rows - key);
      attention_grad_scores<S>(args, scratch, q0, rows, key, keys, fetcher);
      attention_grad_keys<S>(d_v, key, keys, scratch.p, scratch.d_out, rows, fetcher);
      attention_grad_keys<S>(d_k, key, keys, scratch.d_s, scratch.q, rows, fetcher);
      attention_grad_queries<S>(args, scratch, q0, rows, key, keys, fetcher);
    }
  }
  const bool any_query = args.q_rows > 0;
  if (!any_query || scratch.qk_width != args.qk_dim)
    attention_grad_store<S>(args.d_k, args.d_k_stride, scratch.d_k, scratch.qk_width, args.kv_rows, args.qk_dim,
                            any_query, args.accumulate_kv);
  if (!any_query || scratch.v_width != args.v_dim)
    attention_grad_store<S>(args.d_v, args.d_v_stride, scratch.d_v, scratch.v_width, args.kv_rows, args.v_dim,
                            any_query, args.accumulate_kv);
}

}  // namespace
}  // namespace vit::kernels
