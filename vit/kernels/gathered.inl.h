// Rows that lie anywhere: their weighted sum, their products with one vector, and a vector added to each. What sampling
// from maps comes down to (TensorKernels), where a row is a head's channels of one cell.
#pragma once

#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

/// y = the sum over rows of weights * columns [c, c + count): NV whole vectors or, where NV is 1, what is left.
template <class S, int NV>
VITKIT_INLINE void gathered_sum_columns(float* y, const float* const* rows, const float* weights, int64_t row_count,
                                        int64_t c, int64_t count) {
  using V = typename S::V;
  V sum[NV];
  VITKIT_UNROLL
  for (int j = 0; j < NV; ++j) sum[j] = V(0.0f);
  for (int64_t i = 0; i < row_count; ++i) {
    const V weight(weights[i]);
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) {
      const float* x = rows[i] + c + j * S::kWidth;
      sum[j] = S::fma(weight, NV > 1 ? S::load(x) : load_some<S>(x, count), sum[j]);
    }
  }
  VITKIT_UNROLL
  for (int j = 0; j < NV; ++j) store_some<S>(y + c + j * S::kWidth, sum[j], NV > 1 ? S::kWidth : count);
}

template <class S>
void gathered_sum(float* y, const float* const* rows, const float* weights, int64_t row_count, int64_t cols) {
  int64_t c = 0;
  for (; c + 4 * S::kWidth <= cols; c += 4 * S::kWidth) gathered_sum_columns<S, 4>(y, rows, weights, row_count, c, 0);
  for (; c + 2 * S::kWidth <= cols; c += 2 * S::kWidth) gathered_sum_columns<S, 2>(y, rows, weights, row_count, c, 0);
  for (; c < cols; c += S::kWidth)
    gathered_sum_columns<S, 1>(y, rows, weights, row_count, c, min_of(S::kWidth, cols - c));
}

template <class S>
void gathered_dots(float* y, const float* const* rows, const float* x, int64_t row_count, int64_t cols) {
  using V = typename S::V;
  for (int64_t i = 0; i < row_count; ++i) {
    V sum(0.0f);
    for (int64_t c = 0; c < cols; c += S::kWidth)
      sum = S::fma(load_some<S>(rows[i] + c, cols - c), load_some<S>(x + c, cols - c), sum);
    y[i] = S::reduce_add(sum);
  }
}

template <class S>
void scattered_add(float* const* rows, const float* weights, const float* x, int64_t row_count, int64_t cols) {
  using V = typename S::V;
  for (int64_t i = 0; i < row_count; ++i) {
    const V weight(weights[i]);
    for (int64_t c = 0; c < cols; c += S::kWidth) {
      float* y = rows[i] + c;
      store_some<S>(y, S::fma(weight, load_some<S>(x + c, cols - c), load_some<S>(y, cols - c)), cols - c);
    }
  }
}

}  // namespace
}  // namespace vit::kernels
