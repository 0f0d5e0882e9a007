// Exact attention within one group of tokens that lie anywhere in a sequence (windows of a map, axes, neighbourhoods).
//
// A group is small: its keys and values are gathered and packed into the workspace, as attention.inl.h packs a head's,
// and stay in the first-level cache; a tile of queries meets all of them at once, so the softmax needs no second look.
// Bias and mask are added where the scores are read for their maximum. Scores are in units of log 2.
#pragma once

#include "vit/kernels/attention.inl.h"
#include "vit/kernels/attention_grad.inl.h"
#include "vit/kernels/group_kernels.h"

namespace vit::kernels {
namespace {

template <class S>
constexpr int64_t whole_vectors(int64_t count) {
  return ceil_div(count, S::kWidth) * S::kWidth;
}

/// y [rows, width] = factor * the rows `index` of x [*, cols], zeros from `cols` on; a row of -1 is `filler`, or zeros
/// where that is null. width is whole vectors, y aligned.
template <class S>
VITKIT_INLINE void gather_group(float* y, int64_t width, const float* x, int64_t x_stride, const int64_t* index,
                                int64_t rows, int64_t cols, const float* filler, typename S::V factor) {
  using V = typename S::V;
  for (int64_t i = 0; i < rows; ++i) {
    const float* x_i = index[i] < 0 ? filler : x + index[i] * x_stride;
    float* y_i = y + i * width;
    for (int64_t d = 0; d < width; d += S::kWidth)
      S::store_aligned(y_i + d, x_i ? load_some<S>(x_i + d, cols - d) * factor : V(0.0f));
  }
}

/// Where things are in the workspace of a forward pass.
template <class S>
struct GroupScratch {
  KvLayout<S> layout;
  int64_t keys_width, q_width, padded, score_stride;
  float *keys, *packed, *q, *scores, *tile, *hidden;
  int64_t size;
  GroupScratch(float* base, int64_t q_rows, int64_t kv_rows, int64_t qk_dim, int64_t v_dim)
      : layout{kv_rows, qk_dim, v_dim},
        keys_width(whole_vectors<S>(qk_dim)),
        q_width(whole_vectors<S>(qk_dim)),
        padded(whole_vectors<S>(kv_rows)),
        score_stride(padded + kLine) {
    int64_t used = 0;
    const auto take = [&](int64_t floats) {
      const int64_t at = used;
      used += ceil_div(floats, kLine) * kLine;
      return base ? base + at : nullptr;
    };
    keys = take(padded * keys_width);
    packed = take(layout.size());
    q = take(q_rows * q_width);
    scores = take(S::kTileRows * score_stride);
    tile = take(S::kTileRows * kPanelWidth<S>);
    hidden = take(padded);
    size = used;
  }
};

template <class S>
int64_t grouped_attention_workspace_size(int64_t q_rows, int64_t kv_rows, int64_t qk_dim, int64_t v_dim) {
  return GroupScratch<S>(nullptr, q_rows, kv_rows, qk_dim, v_dim).size;
}

/// Packs the group's keys, transposed, and its values; writes `hidden`: -inf where there is no key, else 0. Returns the
/// first column whose whole vector `hidden` matters for.
template <class S>
int64_t pack_group(const TokenGroup& group, const GroupScratch<S>& scratch) {
  using V = typename S::V;
  const KvLayout<S>& layout = scratch.layout;
  gather_group<S>(scratch.keys, scratch.keys_width, group.k, group.k_stride, group.keys, group.kv_rows, group.qk_dim,
                  group.filler_k, V(1.0f));
  // Whole blocks are transposed: the keys that are not there are rows of zeros.
  for (int64_t i = group.kv_rows * scratch.keys_width; i < scratch.padded * scratch.keys_width; i += S::kWidth)
    S::store_aligned(scratch.keys + i, V(0.0f));
  for (int64_t p = 0; p < layout.key_panels(); ++p) {
    const Panel<S> panel(group.kv_rows, p);
    transpose<S>(scratch.packed + layout.key_panel(p), panel.width(),
                 scratch.keys + p * kPanelWidth<S> * scratch.keys_width, scratch.keys_width, panel.width(),
                 group.qk_dim);
  }
  for (int64_t p = 0; p < layout.value_panels(); ++p) {
    const Panel<S> panel(group.v_dim, p);
    const int64_t column = p * kPanelWidth<S>;
    gather_group<S>(scratch.packed + layout.value_panel(p), panel.width(), group.v + column, group.v_stride, group.keys,
                    group.kv_rows, panel.cols, group.filler_v ? group.filler_v + column : nullptr, V(1.0f));
  }
  bool absent = false;
  for (int64_t j = 0; j < scratch.padded; ++j) {
    const bool hide = j >= group.kv_rows || (!group.filler_k && group.keys[j] < 0);
    absent = absent || (hide && j < group.kv_rows);
    scratch.hidden[j] = hide ? -kInfinity : 0.0f;
  }
  if (absent) return 0;
  return scratch.padded == group.kv_rows ? scratch.padded : scratch.padded - S::kWidth;
}

/// The softmax of one tile's scores, in place and without the division: s <- 2^(s - maximum). `inverse` gets what the
/// rows' sums must be multiplied with, `lse` the natural logarithms of their sums.
template <class S>
VITKIT_INLINE void group_softmax(const TokenGroup& group, const GroupScratch<S>& scratch, int64_t row, int64_t rows,
                                 int64_t first_hidden, float* inverse, float* lse) {
  using V = typename S::V;
  alignas(64) float shift[S::kWidth] = {};
  const V log2e(kLog2e);
  for (int64_t i = 0; i < rows; ++i) {
    float* s = scratch.scores + i * scratch.score_stride;
    const float* bias = group.bias ? group.bias + (row + i) * group.kv_rows : nullptr;
    const float* mask = group.mask ? group.mask + (row + i) * group.kv_rows : nullptr;
    V best(-kInfinity);
    for (int64_t j = 0; j < scratch.padded; j += S::kWidth) {
      V v = S::load_aligned(s + j);
      if (bias) v = S::fma(load_some<S>(bias + j, group.kv_rows - j), log2e, v);
      if (mask) v = S::fma(load_some<S>(mask + j, group.kv_rows - j), log2e, v);
      if (j >= first_hidden) v = v + S::load_aligned(scratch.hidden + j);
      S::store_aligned(s + j, v);
      best = S::max(best, v);
    }
    const float maximum = S::reduce_max(best);
    shift[i] = maximum < -3.4e38f ? 0.0f : maximum;  // all hidden: subtracting -inf would give NaN
  }
  for (int64_t i = 0; i < rows; ++i) {
    float* s = scratch.scores + i * scratch.score_stride;
    const V shift_i(shift[i]);
    V total(0.0f);
    for (int64_t j = 0; j < scratch.padded; j += S::kWidth) {
      const V e = exp2_nonpositive<S>(S::load_aligned(s + j) - shift_i);
      S::store_aligned(s + j, e);
      total = total + e;
    }
    const float sum = S::reduce_add(total);
    inverse[i] = sum == 0.0f ? 0.0f : 1.0f / sum;
    if (lse) lse[i] = sum == 0.0f ? -kInfinity : shift[i] * kLn2 + __builtin_logf(sum);
  }
}

/// Queries [row, row + rows) of the group, one tile, against all its keys.
template <class S>
void group_tile(const GroupedAttentionArgs& args, const GroupScratch<S>& scratch, int64_t row, int64_t rows,
                int64_t first_hidden) {
  using V = typename S::V;
  const TokenGroup& group = args.group;
  const KvLayout<S>& layout = scratch.layout;
  for (int64_t p = 0; p < layout.key_panels(); ++p)
    Tiles<S>::dense(rows, Panel<S>(group.kv_rows, p).vectors)(scratch.scores + p * kPanelWidth<S>, scratch.score_stride,
                                                              scratch.q + row * scratch.q_width, scratch.q_width,
                                                              scratch.packed + layout.key_panel(p), group.qk_dim);
  alignas(64) float inverse[S::kTileRows], lse[S::kTileRows];
  group_softmax<S>(group, scratch, row, rows, first_hidden, inverse, args.lse ? lse : nullptr);
  for (int64_t i = 0; args.lse && i < rows; ++i)
    if (group.queries[row + i] >= 0) args.lse[group.queries[row + i]] = lse[i];
  for (int64_t p = 0; p < layout.value_panels(); ++p) {
    const Panel<S> panel(group.v_dim, p);
    Tiles<S>::dense(rows, panel.vectors)(scratch.tile, panel.width(), scratch.scores, scratch.score_stride,
                                         scratch.packed + layout.value_panel(p), group.kv_rows);
    for (int64_t i = 0; i < rows; ++i) {
      if (group.queries[row + i] < 0) continue;
      float* out = args.out + group.queries[row + i] * args.out_stride + p * kPanelWidth<S>;
      const V inverse_i(inverse[i]);
      for (int64_t d = 0; d < panel.cols; d += S::kWidth)
        store_some<S>(out + d, S::load_aligned(scratch.tile + i * panel.width() + d) * inverse_i, panel.cols - d);
    }
  }
}

template <class S>
void grouped_attention(const GroupedAttentionArgs& args, float* workspace) {
  using V = typename S::V;
  const TokenGroup& group = args.group;
  const GroupScratch<S> scratch(workspace, group.q_rows, group.kv_rows, group.qk_dim, group.v_dim);
  const int64_t first_hidden = pack_group<S>(group, scratch);
  gather_group<S>(scratch.q, scratch.q_width, group.q, group.q_stride, group.queries, group.q_rows, group.qk_dim,
                  nullptr, V(group.scale * kLog2e));
  const RowTiles<S> tiles(0, group.q_rows);
  for (int64_t t = 0; t < tiles.count; ++t) {
    const int64_t row = tiles.first_row(t);
    group_tile<S>(args, scratch, row, tiles.first_row(t + 1) - row, first_hidden);
  }
}

// ---- gradient: the rows are gathered, attention_grad does the rest, and its results are scattered ----

template <class S>
struct GroupGradScratch {
  int64_t qk_width, v_width, size;
  float *q, *d_q, *d_out, *out, *lse, *k, *d_k, *v, *d_v, *bias, *inner;
  GroupGradScratch(float* base, int64_t q_rows, int64_t kv_rows, int64_t qk_dim, int64_t v_dim)
      : qk_width(whole_vectors<S>(qk_dim)), v_width(whole_vectors<S>(v_dim)) {
    int64_t used = 0;
    const auto take = [&](int64_t floats) {
      const int64_t at = used;
      used += ceil_div(floats, kLine) * kLine;
      return base ? base + at : nullptr;
    };
    q = take(q_rows * qk_width);
    d_q = take(q_rows * qk_width);
    d_out = take(q_rows * v_width);
    out = take(q_rows * v_width);
    lse = take(q_rows);
    k = take(kv_rows * qk_width);
    d_k = take(kv_rows * qk_width);
    v = take(kv_rows * v_width);
    d_v = take(kv_rows * v_width);
    bias = take(q_rows * kv_rows);
    inner = take(attention_grad_workspace_size<S>(q_rows, kv_rows, qk_dim, v_dim));
    size = used;
  }
};

template <class S>
int64_t grouped_attention_grad_workspace_size(int64_t q_rows, int64_t kv_rows, int64_t qk_dim, int64_t v_dim) {
  return GroupGradScratch<S>(nullptr, q_rows, kv_rows, qk_dim, v_dim).size;
}

/// bias + mask in one table, with -inf for keys that are not there; the bias itself where nothing is added to it.
template <class S>
const float* group_bias(const TokenGroup& group, float* table) {
  using V = typename S::V;
  bool absent = false;
  for (int64_t j = 0; j < group.kv_rows && !group.filler_k; ++j) absent = absent || group.keys[j] < 0;
  if (!group.mask && !absent) return group.bias;
  const int64_t count = group.q_rows * group.kv_rows;
  for (int64_t i = 0; i < count; i += S::kWidth) {
    V sum(0.0f);
    if (group.bias) sum = sum + load_some<S>(group.bias + i, count - i);
    if (group.mask) sum = sum + load_some<S>(group.mask + i, count - i);
    store_some<S>(table + i, sum, count - i);
  }
  for (int64_t j = 0; absent && j < group.kv_rows; ++j)
    for (int64_t i = 0; group.keys[j] < 0 && i < group.q_rows; ++i) table[i * group.kv_rows + j] = -kInfinity;
  return table;
}

/// y's rows `index` = or += x [rows, cols]; those of -1 are added to `filler`, if there is one.
template <class S>
VITKIT_INLINE void scatter_group(float* y, int64_t y_stride, float* filler, const float* x, int64_t x_stride,
                                 const int64_t* index, int64_t rows, int64_t cols, bool accumulate) {
  for (int64_t i = 0; i < rows; ++i) {
    float* y_i = index[i] < 0 ? filler : y + index[i] * y_stride;
    if (!y_i) continue;
    const bool add = accumulate || index[i] < 0;
    for (int64_t d = 0; d < cols; d += S::kWidth) {
      auto v = S::load_aligned(x + i * x_stride + d);
      if (add) v = v + load_some<S>(y_i + d, cols - d);
      store_some<S>(y_i + d, v, cols - d);
    }
  }
}

template <class S>
void grouped_attention_grad(const GroupedAttentionGradArgs& args, float* workspace) {
  using V = typename S::V;
  const TokenGroup& group = args.group;
  const GroupGradScratch<S> scratch(workspace, group.q_rows, group.kv_rows, group.qk_dim, group.v_dim);
  const V one(1.0f);
  const auto gather_queries = [&](float* y, int64_t width, const float* x, int64_t stride, int64_t cols) {
    gather_group<S>(y, width, x, stride, group.queries, group.q_rows, cols, nullptr, one);
  };
  gather_queries(scratch.q, scratch.qk_width, group.q, group.q_stride, group.qk_dim);
  gather_queries(scratch.d_out, scratch.v_width, args.d_out, args.d_out_stride, group.v_dim);
  gather_queries(scratch.out, scratch.v_width, args.out, args.out_stride, group.v_dim);
  gather_group<S>(scratch.k, scratch.qk_width, group.k, group.k_stride, group.keys, group.kv_rows, group.qk_dim,
                  group.filler_k, one);
  gather_group<S>(scratch.v, scratch.v_width, group.v, group.v_stride, group.keys, group.kv_rows, group.v_dim,
                  group.filler_v, one);
  // Where there is no query its row of p is zero, by way of an lse as of one that sees nothing.
  for (int64_t i = 0; i < group.q_rows; ++i)
    scratch.lse[i] = group.queries[i] < 0 ? -kInfinity : args.lse[group.queries[i]];
  attention_grad<S>({.d_q = scratch.d_q,
                     .d_q_stride = scratch.qk_width,
                     .d_k = scratch.d_k,
                     .d_k_stride = scratch.qk_width,
                     .d_v = scratch.d_v,
                     .d_v_stride = scratch.v_width,
                     .d_bias = args.d_bias,
                     .d_bias_stride = group.kv_rows,
                     .d_out = scratch.d_out,
                     .d_out_stride = scratch.v_width,
                     .out = scratch.out,
                     .out_stride = scratch.v_width,
                     .lse = scratch.lse,
                     .q = scratch.q,
                     .q_stride = scratch.qk_width,
                     .k = scratch.k,
                     .k_stride = scratch.qk_width,
                     .v = scratch.v,
                     .v_stride = scratch.v_width,
                     .bias = group_bias<S>(group, scratch.bias),
                     .bias_stride = group.kv_rows,
                     .q_rows = group.q_rows,
                     .kv_rows = group.kv_rows,
                     .qk_dim = group.qk_dim,
                     .v_dim = group.v_dim,
                     .scale = group.scale},
                    scratch.inner);
  scatter_group<S>(args.d_q, args.d_q_stride, nullptr, scratch.d_q, scratch.qk_width, group.queries, group.q_rows,
                   group.qk_dim, false);
  scatter_group<S>(args.d_k, args.d_k_stride, args.d_filler_k, scratch.d_k, scratch.qk_width, group.keys, group.kv_rows,
                   group.qk_dim, args.accumulate_kv);
  scatter_group<S>(args.d_v, args.d_v_stride, args.d_filler_v, scratch.d_v, scratch.v_width, group.keys, group.kv_rows,
                   group.v_dim, args.accumulate_kv);
}

template <class S>
constexpr GroupKernels kGroupKernels = {
    .grouped_attention_workspace_size = grouped_attention_workspace_size<S>,
    .grouped_attention = grouped_attention<S>,
    .grouped_attention_grad_workspace_size = grouped_attention_grad_workspace_size<S>,
    .grouped_attention_grad = grouped_attention_grad<S>,
};

}  // namespace
}  // namespace vit::kernels
