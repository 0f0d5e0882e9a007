// Exact attention within one group of tokens that lie anywhere in a sequence (windows of a map, axes, neighbourhoods).
//
// A group is small: its keys and values are gathered and packed into the workspace, as attention.inl.h packs a head's,
// and stay in the first-level cache; a query meets all of them at once, so the softmax needs no second look. Scores,
// softmax and values are passes over a chunk of queries of their own: from tile to tile each would wait for the other's
// latencies. Bias and mask are added where the scores are read for their maximum. Scores are in units of log 2.
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

/// Floats of scores that are worked on at a time: a window of 7 x 7 whole, 20 KB.
inline constexpr int64_t kGroupScores = 5120;
/// Keys beyond whole vectors that are multiplied one by one instead of filling a vector up: 7 x 7 is 3 vectors and 1.
inline constexpr int64_t kMostSingleKeys = 2;

/// Where things are in the workspace of a forward pass.
template <class S>
struct GroupScratch {
  int64_t kv_rows, qk_dim, width;  ///< width: of a row of queries or keys, qk_dim in whole vectors
  int64_t tiled, singles, padded;  ///< keys in tiles, those beyond them, and the scores of tiles in whole vectors
  int64_t score_stride, chunk;     ///< chunk: queries whose scores exist at a time
  float *keys, *values, *q, *scores, *rows, *single_keys, *single_scores, *tile, *hidden, *shift, *sum;
  int64_t size;
  GroupScratch(float* base, int64_t q_rows, int64_t kv, int64_t qk, int64_t v_dim)
      : kv_rows(kv), qk_dim(qk), width(whole_vectors<S>(qk)) {
    const int64_t rest = kv % S::kWidth;
    singles = kv > rest && rest <= kMostSingleKeys ? rest : 0;
    tiled = kv - singles;
    padded = whole_vectors<S>(tiled);
    score_stride = whole_vectors<S>(kv) + kLine;
    chunk = max_of(S::kTileRows, min_of(q_rows, kGroupScores / score_stride / S::kTileRows * S::kTileRows));
    int64_t used = 0;
    const auto take = [&](int64_t floats) {
      const int64_t at = used;
      used += ceil_div(floats, kLine) * kLine;
      return base ? base + at : nullptr;
    };
    keys = take(padded * qk);
    values = take(kv * whole_vectors<S>(v_dim));
    q = take(q_rows * width);
    scores = take(max_of(chunk * score_stride, padded * width));
    rows = scores;  // keys as they are gathered, before there are scores
    single_keys = take(singles * width);
    single_scores = take(singles * whole_vectors<S>(chunk));
    tile = take(S::kTileRows * kPanelWidth<S>);
    hidden = take(whole_vectors<S>(kv));
    shift = take(whole_vectors<S>(chunk));
    sum = take(whole_vectors<S>(chunk));
    size = used;
  }
  int64_t key_panels() const { return ceil_div(tiled, kPanelWidth<S>); }
  const float* key_panel(int64_t p) const { return keys + p * kPanelWidth<S> * qk_dim; }
  float* value_panel(int64_t p) const { return values + p * kPanelWidth<S> * kv_rows; }
};

template <class S>
int64_t grouped_attention_workspace_size(int64_t q_rows, int64_t kv_rows, int64_t qk_dim, int64_t v_dim) {
  return GroupScratch<S>(nullptr, q_rows, kv_rows, qk_dim, v_dim).size;
}

/// Fetches the rows of the group that comes next into the second-level cache, some at each turn.
template <class S>
struct GroupFetcher {
  const TokenGroup* next;
  int64_t at = 0, per_turn = 0;
  GroupFetcher(const TokenGroup* group, int64_t turns) : next(group) {
    if (next) per_turn = ceil_div(next->q_rows + 2 * next->kv_rows, max_of(1, turns));
  }
  VITKIT_INLINE void turn() {
    for (int64_t i = 0; next && i < per_turn; ++i, ++at) {
      if (at < next->q_rows)
        fetch(next->q, next->q_stride, next->queries[at], next->qk_dim);
      else if (at < next->q_rows + next->kv_rows)
        fetch(next->k, next->k_stride, next->keys[at - next->q_rows], next->qk_dim);
      else if (at < next->q_rows + 2 * next->kv_rows)
        fetch(next->v, next->v_stride, next->keys[at - next->q_rows - next->kv_rows], next->v_dim);
    }
  }
  VITKIT_INLINE void fetch(const float* x, int64_t stride, int64_t row, int64_t cols) {
    for (int64_t d = 0; row >= 0 && d < cols; d += kLine) prefetch_l2(x + row * stride + d);
  }
};

/// Packs the group's keys, transposed, and its values; writes `hidden`: -inf where there is no key, else 0. Returns the
/// first column whose whole vector `hidden` matters for.
template <class S>
int64_t pack_group(const TokenGroup& group, const GroupScratch<S>& scratch) {
  using V = typename S::V;
  const V one(1.0f);
  gather_group<S>(scratch.rows, scratch.width, group.k, group.k_stride, group.keys, scratch.tiled, group.qk_dim,
                  group.filler_k, one);
  gather_group<S>(scratch.single_keys, scratch.width, group.k, group.k_stride, group.keys + scratch.tiled,
                  scratch.singles, group.qk_dim, group.filler_k, one);
  // Whole blocks are transposed: the keys that are not there are rows of zeros.
  for (int64_t i = scratch.tiled * scratch.width; i < scratch.padded * scratch.width; i += S::kWidth)
    S::store_aligned(scratch.rows + i, V(0.0f));
  for (int64_t p = 0; p < scratch.key_panels(); ++p) {
    const Panel<S> panel(scratch.tiled, p);
    transpose<S>(scratch.keys + p * kPanelWidth<S> * group.qk_dim, panel.width(),
                 scratch.rows + p * kPanelWidth<S> * scratch.width, scratch.width, panel.width(), group.qk_dim);
  }
  for (int64_t column = 0; column < group.v_dim; column += kPanelWidth<S>) {
    const int64_t p = column / kPanelWidth<S>;
    const Panel<S> panel(group.v_dim, p);
    gather_group<S>(scratch.value_panel(p), panel.width(), group.v + column, group.v_stride, group.keys, group.kv_rows,
                    panel.cols, group.filler_v ? group.filler_v + column : nullptr, one);
  }
  bool absent = false;
  for (int64_t j = 0; j < group.kv_rows; ++j) {
    const bool hide = !group.filler_k && group.keys[j] < 0;
    absent = absent || hide;
    scratch.hidden[j] = hide ? -kInfinity : 0.0f;
  }
  for (int64_t j = group.kv_rows; j < scratch.padded; ++j) scratch.hidden[j] = -kInfinity;
  if (absent) return 0;
  return scratch.padded == scratch.tiled ? scratch.padded : scratch.padded - S::kWidth;
}

/// What is added to the scores of a query, or null.
struct AddedScores {
  const float *bias, *mask;
  AddedScores(const TokenGroup& group, int64_t row)
      : bias(group.bias ? group.bias + row * group.kv_rows : nullptr),
        mask(group.mask ? group.mask + row * group.kv_rows : nullptr) {}
};

/// Scores of the chunk's queries for the keys beyond the tiles.
template <class S>
void group_single_scores(const TokenGroup& group, const GroupScratch<S>& scratch, int64_t row, int64_t rows) {
  using V = typename S::V;
  for (int64_t single = 0; single < scratch.singles; ++single) {
    const float* k = scratch.single_keys + single * scratch.width;
    const int64_t key = scratch.tiled + single;
    for (int64_t i = 0; i < rows; ++i) {
      const float* q = scratch.q + (row + i) * scratch.width;
      V dot(0.0f);
      for (int64_t d = 0; d < scratch.width; d += S::kWidth)
        dot = S::fma(S::load_aligned(q + d), S::load_aligned(k + d), dot);
      const AddedScores added(group, row + i);
      float score = S::reduce_add(dot) + scratch.hidden[key];
      if (added.bias) score += added.bias[key] * kLog2e;
      if (added.mask) score += added.mask[key] * kLog2e;
      scratch.single_scores[single * whole_vectors<S>(scratch.chunk) + i] = score;
    }
  }
}

/// Scores of the chunk's queries for the keys in tiles, without what is added to them.
template <class S>
void group_scores(const TokenGroup& group, const GroupScratch<S>& scratch, int64_t row, int64_t rows,
                  GroupFetcher<S>& fetcher) {
  const RowTiles<S> tiles(0, rows);
  for (int64_t p = 0; p < scratch.key_panels(); ++p)
    for (int64_t t = 0; t < tiles.count; ++t) {
      fetcher.turn();
      const int64_t first = tiles.first_row(t);
      Tiles<S>::dense(tiles.first_row(t + 1) - first, Panel<S>(scratch.tiled, p).vectors)(
          scratch.scores + first * scratch.score_stride + p * kPanelWidth<S>, scratch.score_stride,
          scratch.q + (row + first) * scratch.width, scratch.width, scratch.key_panel(p), group.qk_dim);
    }
  group_single_scores<S>(group, scratch, row, rows);
}

/// Vector j of a row of scores with everything added that there is to add.
template <class S>
VITKIT_INLINE typename S::V group_score(const float* s, const AddedScores& added, const float* hidden, int64_t j,
                                        int64_t keys, int64_t first_hidden) {
  using V = typename S::V;
  const V log2e(kLog2e);
  V v = S::load_aligned(s + j);
  if (added.bias) v = S::fma(load_some<S>(added.bias + j, keys - j), log2e, v);
  if (added.mask) v = S::fma(load_some<S>(added.mask + j, keys - j), log2e, v);
  return j >= first_hidden ? v + S::load_aligned(hidden + j) : v;
}

/// Of one row of the chunk: s <- 2^(s - maximum) in place; writes the sum of the powers and the maximum. NV vectors
/// that stay in registers; 0: any number, in two passes.
template <class S, int NV>
VITKIT_INLINE void group_softmax_row(const GroupScratch<S>& scratch, const AddedScores& added, int64_t i,
                                     int64_t first_hidden) {
  using V = typename S::V;
  float* s = scratch.scores + i * scratch.score_stride;
  V best(-kInfinity), total(0.0f), scores[max_of(NV, 1)];
  if constexpr (NV > 0) {
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) {
      scores[j] = group_score<S>(s, added, scratch.hidden, j * S::kWidth, scratch.kv_rows, first_hidden);
      best = S::max(best, scores[j]);
    }
  } else {
    for (int64_t j = 0; j < scratch.padded; j += S::kWidth) {
      const V v = group_score<S>(s, added, scratch.hidden, j, scratch.kv_rows, first_hidden);
      S::store_aligned(s + j, v);
      best = S::max(best, v);
    }
  }
  float maximum = S::reduce_max(best);
  for (int64_t single = 0; single < scratch.singles; ++single)
    maximum = __builtin_fmaxf(maximum, scratch.single_scores[single * whole_vectors<S>(scratch.chunk) + i]);
  if (maximum < -3.4e38f) maximum = 0.0f;  // all hidden: subtracting -inf would give NaN
  const V shift(maximum);
  if constexpr (NV > 0) {
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) {
      const V e = exp2_nonpositive<S>(scores[j] - shift);
      S::store_aligned(s + j * S::kWidth, e);
      total = total + e;
    }
  } else {
    for (int64_t j = 0; j < scratch.padded; j += S::kWidth) {
      const V e = exp2_nonpositive<S>(S::load_aligned(s + j) - shift);
      S::store_aligned(s + j, e);
      total = total + e;
    }
  }
  scratch.sum[i] = S::reduce_add(total);
  scratch.shift[i] = maximum;
}

/// Adds the powers of the keys beyond the tiles: those of one key for a vector of queries at a time.
template <class S>
void group_softmax_singles(const GroupScratch<S>& scratch, int64_t rows) {
  using V = typename S::V;
  for (int64_t single = 0; single < scratch.singles; ++single) {
    float* s = scratch.single_scores + single * whole_vectors<S>(scratch.chunk);
    for (int64_t i = 0; i < rows; i += S::kWidth) {
      const V e = exp2_nonpositive<S>(load_some<S>(s + i, rows - i) - load_some<S>(scratch.shift + i, rows - i));
      store_some<S>(scratch.sum + i, load_some<S>(scratch.sum + i, rows - i) + e, rows - i);
      S::store_aligned(s + i, e);
    }
    for (int64_t i = 0; i < rows; ++i) scratch.scores[i * scratch.score_stride + scratch.tiled + single] = s[i];
  }
}

template <class S, int NV>
void group_softmax_rows(const TokenGroup& group, const GroupScratch<S>& scratch, int64_t row, int64_t rows,
                        int64_t first_hidden) {
  for (int64_t i = 0; i < rows; ++i) group_softmax_row<S, NV>(scratch, AddedScores(group, row + i), i, first_hidden);
}

/// The softmax of a chunk of queries from `row` on, in place and without the division; `sum` becomes its inverse.
template <class S>
void group_softmax(const GroupedAttentionArgs& args, const GroupScratch<S>& scratch, int64_t row, int64_t rows,
                   int64_t first_hidden) {
  const TokenGroup& group = args.group;
  const int64_t vectors = scratch.padded / S::kWidth;
  const auto softmax_rows = vectors == 1   ? group_softmax_rows<S, 1>
                            : vectors == 2 ? group_softmax_rows<S, 2>
                            : vectors == 3 ? group_softmax_rows<S, 3>
                            : vectors == 4 ? group_softmax_rows<S, 4>
                                           : group_softmax_rows<S, 0>;
  softmax_rows(group, scratch, row, rows, first_hidden);
  group_softmax_singles<S>(scratch, rows);
  for (int64_t i = 0; i < rows; ++i) {
    const float sum = scratch.sum[i];
    if (args.lse && group.queries[row + i] >= 0)
      args.lse[group.queries[row + i]] = sum == 0.0f ? -kInfinity : scratch.shift[i] * kLn2 + __builtin_logf(sum);
    scratch.sum[i] = sum == 0.0f ? 0.0f : 1.0f / sum;
  }
}

/// out = scores * v, divided by the rows' sums, for a chunk of queries.
template <class S>
void group_values(const GroupedAttentionArgs& args, const GroupScratch<S>& scratch, int64_t row, int64_t rows,
                  GroupFetcher<S>& fetcher) {
  using V = typename S::V;
  const TokenGroup& group = args.group;
  const RowTiles<S> tiles(0, rows);
  for (int64_t column = 0; column < group.v_dim; column += kPanelWidth<S>) {
    const int64_t p = column / kPanelWidth<S>;
    const Panel<S> panel(group.v_dim, p);
    for (int64_t t = 0; t < tiles.count; ++t) {
      fetcher.turn();
      const int64_t first = tiles.first_row(t), tile_rows = tiles.first_row(t + 1) - first;
      Tiles<S>::dense(tile_rows, panel.vectors)(scratch.tile, panel.width(),
                                                scratch.scores + first * scratch.score_stride, scratch.score_stride,
                                                scratch.value_panel(p), group.kv_rows);
      for (int64_t i = 0; i < tile_rows; ++i) {
        const int64_t query = group.queries[row + first + i];
        if (query < 0) continue;
        float* out = args.out + query * args.out_stride + column;
        const V inverse(scratch.sum[first + i]);
        for (int64_t d = 0; d < panel.cols; d += S::kWidth)
          store_some<S>(out + d, S::load_aligned(scratch.tile + i * panel.width() + d) * inverse, panel.cols - d);
      }
    }
  }
}

template <class S>
void grouped_attention(const GroupedAttentionArgs& args, float* workspace) {
  using V = typename S::V;
  const TokenGroup& group = args.group;
  const GroupScratch<S> scratch(workspace, group.q_rows, group.kv_rows, group.qk_dim, group.v_dim);
  const int64_t tiles = ceil_div(group.q_rows, S::kTileRows);
  GroupFetcher<S> fetcher(args.next, tiles * (scratch.key_panels() + ceil_div(group.v_dim, kPanelWidth<S>)));
  const int64_t first_hidden = pack_group<S>(group, scratch);
  gather_group<S>(scratch.q, scratch.width, group.q, group.q_stride, group.queries, group.q_rows, group.qk_dim, nullptr,
                  V(group.scale * kLog2e));
  for (int64_t row = 0; row < group.q_rows; row += scratch.chunk) {
    const int64_t rows = min_of(scratch.chunk, group.q_rows - row);
    group_scores<S>(group, scratch, row, rows, fetcher);
    group_softmax<S>(args, scratch, row, rows, first_hidden);
    group_values<S>(args, scratch, row, rows, fetcher);
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
