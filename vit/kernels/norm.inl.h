// Reductions over rows: layer norm, RMS norm, L2 norm, softmax, mean. Each row is read two or three times from L1; the
// sums run in two registers, in an order that depends on the row's length alone.
#pragma once

#include "vit/kernels/activation.inl.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

/// Sum over a row of term(v), v being vectors of the row; a partial last vector is padded with `pad`, for which term
/// must give zero.
template <class S, class Term>
VITKIT_INLINE float sum_row(const float* x, int64_t cols, typename S::V pad, const Term& term) {
  using V = typename S::V;
  V sum_a(0.0f), sum_b(0.0f);
  int64_t i = 0;
  for (; i + 2 * S::kWidth <= cols; i += 2 * S::kWidth) {
    sum_a = sum_a + term(S::load(x + i));
    sum_b = sum_b + term(S::load(x + i + S::kWidth));
  }
  for (; i < cols; i += S::kWidth) {
    const int64_t rest = cols - i;
    if (rest >= S::kWidth) {
      sum_a = sum_a + term(S::load(x + i));
    } else {
      alignas(64) float lanes[S::kWidth];
      S::store_aligned(lanes, pad);
      for (int64_t j = 0; j < rest; ++j) lanes[j] = x[i + j];
      sum_b = sum_b + term(S::load_aligned(lanes));
    }
  }
  return S::reduce_add(sum_a + sum_b);
}

/// y [cols] = map(x vector, column) over a row.
template <class S, class Map>
VITKIT_INLINE void map_row(float* y, const float* x, int64_t cols, const Map& map) {
  int64_t i = 0;
  for (; i + S::kWidth <= cols; i += S::kWidth) S::store(y + i, map(S::load(x + i), i, S::kWidth));
  if (i < cols) S::store_tail(y + i, map(S::load_tail(x + i, cols - i), i, cols - i), cols - i);
}

template <class S>
void layer_norm(float* y, int64_t y_stride, float* mean, float* rstd, const float* x, int64_t x_stride,
                const float* gamma, const float* beta, int64_t rows, int64_t cols, float eps) {
  using V = typename S::V;
  const float n = static_cast<float>(cols);
  for (int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * x_stride;
    const float mean_r = sum_row<S>(x_r, cols, V(0.0f), [](V v) { return v; }) / n;
    const V m(mean_r);
    const float variance = sum_row<S>(x_r, cols, m, [&](V v) { return (v - m) * (v - m); }) / n;
    const float rstd_r = 1.0f / __builtin_sqrtf(variance + eps);
    const V s(rstd_r);
    map_row<S>(y + r * y_stride, x_r, cols, [&](V v, int64_t i, int64_t rest) {
      V z = (v - m) * s;
      if (gamma) z = z * load_some<S>(gamma + i, rest);
      if (beta) z = z + load_some<S>(beta + i, rest);
      return z;
    });
    if (mean) mean[r] = mean_r;
    if (rstd) rstd[r] = rstd_r;
  }
}

template <class S>
void rms_norm(float* y, int64_t y_stride, float* rstd, const float* x, int64_t x_stride, const float* gamma,
              int64_t rows, int64_t cols, float eps) {
  using V = typename S::V;
  for (int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * x_stride;
    const float mean_square = sum_row<S>(x_r, cols, V(0.0f), [](V v) { return v * v; }) / static_cast<float>(cols);
    const float rstd_r = 1.0f / __builtin_sqrtf(mean_square + eps);
    const V s(rstd_r);
    map_row<S>(y + r * y_stride, x_r, cols,
               [&](V v, int64_t i, int64_t rest) { return gamma ? v * s * load_some<S>(gamma + i, rest) : v * s; });
    if (rstd) rstd[r] = rstd_r;
  }
}

template <class S>
void l2_norm(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows, int64_t cols, float eps) {
  using V = typename S::V;
  for (int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * x_stride;
    const float length = __builtin_sqrtf(sum_row<S>(x_r, cols, V(0.0f), [](V v) { return v * v; }));
    const V divisor(length < eps ? eps : length);
    map_row<S>(y + r * y_stride, x_r, cols, [&](V v, int64_t, int64_t) { return v / divisor; });
  }
}

template <class S>
void softmax(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows, int64_t cols, float scale) {
  using V = typename S::V;
  const V factor(scale);
  for (int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * x_stride;
    float* y_r = y + r * y_stride;
    float best = -kInfinity;
    int64_t i = 0;
    if (cols >= S::kWidth) {
      V best_v(-kInfinity);
      for (; i + S::kWidth <= cols; i += S::kWidth) best_v = S::max(best_v, S::load(x_r + i) * factor);
      best = S::reduce_max(best_v);
    }
    for (; i < cols; ++i) best = best > x_r[i] * scale ? best : x_r[i] * scale;
    // A row of -inf only: with zero instead of its maximum every power is zero, and so is the row.
    const V shift(best == -kInfinity ? 0.0f : best);
    map_row<S>(y_r, x_r, cols, [&](V v, int64_t, int64_t) { return exp_nonpositive<S>(v * factor - shift); });
    const float sum = sum_row<S>(y_r, cols, V(0.0f), [](V v) { return v; });
    const V inverse(sum == 0.0f ? 0.0f : 1.0f / sum);
    map_row<S>(y_r, y_r, cols, [&](V v, int64_t, int64_t) { return v * inverse; });
  }
}

template <class S>
void mean_rows(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols) {
  using V = typename S::V;
  const V factor(rows > 0 ? 1.0f / static_cast<float>(rows) : 0.0f);
  for (int64_t c = 0; c < cols; c += S::kWidth) {
    const int64_t rest = cols - c;
    V sum(0.0f);
    for (int64_t r = 0; r < rows; ++r) sum = sum + load_some<S>(x + r * x_stride + c, rest);
    store_some<S>(y + c, sum * factor, rest);
  }
}

}  // namespace
}  // namespace vit::kernels
