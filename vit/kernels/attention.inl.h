// Exact attention of one (batch, head) by tiles with an online softmax; the N x N matrix never exists.
//
// Keys are packed transposed, so that q k^T and p v are both the register tile of gemm.inl.h: k^T in panels of keys, v
// in panels of channels. A chunk of queries meets the keys block by block, so that a block of k and v comes from L2 for
// all tiles of the chunk and from further away once per chunk. Scores are kept in units of log 2 (q is multiplied by
// scale * log2 e), which makes the exponential a power of two. Blocks of keys start at fixed positions and a query's
// arithmetic involves no other query: results do not depend on the part.
#pragma once

#include "vit/kernels/activation.inl.h"
#include "vit/kernels/gemm.inl.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/norm.inl.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

inline constexpr int64_t kKeyBlock = 512;   ///< keys per softmax update; k and v of 64 channels are 256 KB, within L2
inline constexpr int64_t kQueryChunk = 96;  ///< queries per pass over the keys
inline constexpr int64_t kScoreStride =
    kKeyBlock + 16;  ///< not a multiple of 4 KB: rows of scores must not share L1 sets
inline constexpr float kLog2e = 1.44269504088896f, kLn2 = 0.693147180559945f;

/// Where things are in a packed_kv buffer: all panels of k^T [qk_dim, keys], then panels of v [keys, channels].
template <class S>
struct KvLayout {
  int64_t kv_rows, qk_dim, v_dim;
  int64_t key_panels() const { return ceil_div(kv_rows, kPanelWidth<S>); }
  int64_t key_panel(int64_t p) const { return p * kPanelWidth<S> * qk_dim; }
  int64_t value_panels() const { return ceil_div(v_dim, kPanelWidth<S>); }
  int64_t value_panel(int64_t p) const { return key_panel(key_panels()) + p * kPanelWidth<S> * kv_rows; }
  int64_t size() const { return value_panel(value_panels()); }
};

/// Where things are in the workspace of one thread.
template <class S>
struct AttentionScratch {
  float *scores, *tile, *q, *out, *maximum, *sum;
  int64_t v_width, size;
  AttentionScratch(float* base, int64_t qk_dim, int64_t v_dim) : v_width(ceil_div(v_dim, S::kWidth) * S::kWidth) {
    int64_t used = 0;
    const auto take = [&](int64_t floats) {
      const int64_t at = used;
      used += ceil_div(floats, 16) * 16;
      return base ? base + at : nullptr;
    };
    scores = take(S::kTileRows * kScoreStride);
    tile = take(S::kTileRows * kPanelWidth<S>);
    q = take(kQueryChunk * qk_dim);
    out = take(kQueryChunk * v_width);
    maximum = take(kQueryChunk);
    sum = take(kQueryChunk);
    size = used;
  }
};

template <class S>
int64_t attention_packed_size(int64_t kv_rows, int64_t qk_dim, int64_t v_dim) {
  return KvLayout<S>{kv_rows, qk_dim, v_dim}.size();
}

template <class S>
int64_t attention_workspace_size(int64_t qk_dim, int64_t v_dim) {
  return AttentionScratch<S>(nullptr, qk_dim, v_dim).size;
}

template <class S>
void attention_pack(float* packed, const float* k, int64_t k_stride, const float* v, int64_t v_stride, int64_t kv_rows,
                    int64_t qk_dim, int64_t v_dim, int64_t j0, int64_t j1) {
  const KvLayout<S> layout{kv_rows, qk_dim, v_dim};
  for (int64_t j = j0; j < j1; j += kPanelWidth<S>) {
    const int64_t p = j / kPanelWidth<S>;
    const Panel<S> keys(kv_rows, p);
    pack_columns<S>(packed + layout.key_panel(p), keys.width(), k + j * k_stride, k_stride, 1, keys.cols, qk_dim);
  }
  for (int64_t p = 0; p < layout.value_panels(); ++p) {
    const Panel<S> channels(v_dim, p);
    pack_columns<S>(packed + layout.value_panel(p) + j0 * channels.width(), channels.width(),
                    v + j0 * v_stride + p * kPanelWidth<S>, 1, v_stride, channels.cols, j1 - j0);
  }
}

/// Adds the bias to one row of scores and returns its largest score, or `maximum` if that is larger. Scores from `keys`
/// on, up to the whole vectors of `padded`, become -inf.
template <class S>
VITKIT_INLINE float row_maximum(float* s, int64_t keys, int64_t padded, const float* bias, float maximum) {
  using V = typename S::V;
  if (bias)
    for (int64_t j = 0; j < keys; j += S::kWidth)
      S::store(s + j, S::fma(load_some<S>(bias + j, keys - j), V(kLog2e), S::load(s + j)));
  for (int64_t j = keys; j < padded; ++j) s[j] = -kInfinity;
  V best(maximum);
  for (int64_t j = 0; j < padded; j += S::kWidth) best = S::max(best, S::load(s + j));
  return S::reduce_max(best);
}

/// The online softmax of one tile's scores, in place: s <- 2^(s - maximum). Updates the rows' running maxima and sums,
/// and gives the factors that everything summed so far must be multiplied with. All maxima come before all powers: the
/// reductions' latencies then overlap, where row by row each would be waited for.
template <class S>
VITKIT_INLINE void softmax_tile(float* scores, int64_t rows, int64_t keys, int64_t padded, const float* bias,
                                int64_t bias_stride, float* maximum, float* sum, float* factor) {
  using V = typename S::V;
  static_assert(S::kTileRows <= S::kWidth, "the rows of a tile are handled as one vector");
  alignas(64) float shift[S::kWidth] = {};
  for (int64_t i = 0; i < rows; ++i)
    shift[i] =
        row_maximum<S>(scores + i * kScoreStride, keys, padded, bias ? bias + i * bias_stride : nullptr, maximum[i]);
  const V old_maximum = load_some<S>(maximum, rows);
  const V new_maximum = S::load_aligned(shift);
  store_some<S>(maximum, new_maximum, rows);
  // While every score is -inf, subtracting it would give NaN; with zero instead, each power is zero.
  const V safe = S::select_less(new_maximum, V(-3.4e38f), V(0.0f), new_maximum);
  S::store_aligned(shift, safe);
  S::store_aligned(factor, exp2_nonpositive<S>(old_maximum - safe));
  for (int64_t i = 0; i < rows; ++i) {
    float* s = scores + i * kScoreStride;
    const V shift_i(shift[i]);
    V total(0.0f);
    for (int64_t j = 0; j < padded; j += S::kWidth) {
      const V e = exp2_nonpositive<S>(S::load(s + j) - shift_i);
      S::store(s + j, e);
      total = total + e;
    }
    sum[i] = sum[i] * factor[i] + S::reduce_add(total);
  }
}

/// One tile of queries against the keys [key, key + keys) of one block: updates out, maximum and sum of its rows.
template <class S>
void attention_block(const AttentionArgs& args, const AttentionScratch<S>& scratch, const KvLayout<S>& layout,
                     int64_t row, int64_t tile_rows, const float* bias, int64_t key, int64_t keys) {
  using V = typename S::V;
  int64_t padded = 0;
  for (int64_t j = 0; j < keys; j += kPanelWidth<S>) {
    const int64_t p = (key + j) / kPanelWidth<S>;
    const Panel<S> panel(layout.kv_rows, p);
    Tiles<S>::dense(tile_rows, panel.vectors)(scratch.scores + j, kScoreStride, scratch.q + row * args.qk_dim,
                                              args.qk_dim, args.packed_kv + layout.key_panel(p), args.qk_dim);
    padded = j + panel.width();
  }
  alignas(64) float factor[S::kWidth];
  softmax_tile<S>(scratch.scores, tile_rows, keys, padded, bias ? bias + key : nullptr, args.bias_stride,
                  scratch.maximum + row, scratch.sum + row, factor);
  for (int64_t p = 0; p < layout.value_panels(); ++p) {
    const Panel<S> panel(layout.v_dim, p);
    Tiles<S>::dense(tile_rows, panel.vectors)(scratch.tile, panel.width(), scratch.scores, kScoreStride,
                                              args.packed_kv + layout.value_panel(p) + key * panel.width(), keys);
    for (int64_t i = 0; i < tile_rows; ++i) {
      float* out = scratch.out + (row + i) * scratch.v_width + p * kPanelWidth<S>;
      const float* tile = scratch.tile + i * panel.width();
      for (int64_t d = 0; d < panel.width(); d += S::kWidth) {
        const V fresh = S::load_aligned(tile + d);
        S::store(out + d, key == 0 ? fresh : S::fma(S::load(out + d), V(factor[i]), fresh));
      }
    }
  }
}

/// Divides the sums of one chunk of queries into the output.
template <class S>
void attention_finish(const AttentionArgs& args, const AttentionScratch<S>& scratch, int64_t q0, int64_t rows) {
  using V = typename S::V;
  for (int64_t i = 0; i < rows; ++i) {
    const float sum = scratch.sum[i];
    const V inverse(sum == 0.0f ? 0.0f : 1.0f / sum);
    float* out = args.out + (q0 + i) * args.out_stride;
    for (int64_t d = 0; d < args.v_dim; d += S::kWidth)
      store_some<S>(out + d, S::load(scratch.out + i * scratch.v_width + d) * inverse, args.v_dim - d);
    if (args.lse) args.lse[q0 + i] = sum == 0.0f ? -kInfinity : scratch.maximum[i] * kLn2 + __builtin_logf(sum);
  }
}

template <class S>
void attention_rows(const AttentionArgs& args, float* workspace, int64_t q0, int64_t q1) {
  using V = typename S::V;
  const AttentionScratch<S> scratch(workspace, args.qk_dim, args.v_dim);
  const KvLayout<S> layout{args.kv_rows, args.qk_dim, args.v_dim};
  const V q_factor(args.scale * kLog2e);
  for (int64_t chunk = q0; chunk < q1; chunk += kQueryChunk) {
    const int64_t rows = min_of(kQueryChunk, q1 - chunk);
    for (int64_t i = 0; i < rows; ++i) {
      const float* q = args.q + (chunk + i) * args.q_stride;
      for (int64_t d = 0; d < args.qk_dim; d += S::kWidth)
        store_some<S>(scratch.q + i * args.qk_dim + d, load_some<S>(q + d, args.qk_dim - d) * q_factor,
                      args.qk_dim - d);
      scratch.maximum[i] = -kInfinity;
      scratch.sum[i] = 0.0f;
      if (args.kv_rows == 0)
        for (int64_t d = 0; d < scratch.v_width; d += S::kWidth)
          S::store(scratch.out + i * scratch.v_width + d, V(0.0f));
    }
    const RowTiles<S> tiles(0, rows);
    for (int64_t key = 0; key < args.kv_rows; key += kKeyBlock)
      for (int64_t t = 0; t < tiles.count; ++t) {
        const int64_t row = tiles.first_row(t);
        const float* bias = args.bias ? args.bias + (chunk + row) * args.bias_stride : nullptr;
        attention_block<S>(args, scratch, layout, row, tiles.first_row(t + 1) - row, bias, key,
                           min_of(kKeyBlock, args.kv_rows - key));
      }
    attention_finish<S>(args, scratch, chunk, rows);
  }
}

template <class S>
void attention_scores(const AttentionScoresArgs& args, int64_t q0, int64_t q1) {
  using V = typename S::V;
  for (int64_t i = q0; i < q1; ++i) {
    float* p = args.probabilities + i * args.probabilities_stride;
    const float* q = args.q + i * args.q_stride;
    const float* bias = args.bias ? args.bias + i * args.bias_stride : nullptr;
    for (int64_t j = 0; j < args.kv_rows; ++j) {
      const float* k = args.k + j * args.k_stride;
      V dot(0.0f);
      for (int64_t d = 0; d < args.qk_dim; d += S::kWidth)
        dot = S::fma(load_some<S>(q + d, args.qk_dim - d), load_some<S>(k + d, args.qk_dim - d), dot);
      p[j] = S::reduce_add(dot) * args.scale + (bias ? bias[j] : 0.0f);
    }
    softmax<S>(p, 0, p, 0, 1, args.kv_rows, 1.0f);
  }
}

}  // namespace
}  // namespace vit::kernels
