// Gradients of the row kernels of norm.inl.h, and sums over rows. Rows are taken in small groups: a group's sums come
// first, then one pass over its columns writes d_x and adds the group to the columns' sums, which so are read and
// written once per group and collect rounding errors of groups, not of rows.
#pragma once

#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

inline constexpr int64_t kRowGroup = 4;   ///< rows of x and d_y that stay in L1 between the two passes
inline constexpr int64_t kSumBlock = 64;  ///< rows summed before they are added to the sum of the blocks

/// y [cols] (+)= sum over rows of term(sum, row, col, count), a vector; four vectors of columns at a time, block by
/// block of rows: a strip of columns down the whole matrix would meet a new page in every row.
template <class S, class Term>
VITKIT_INLINE void sum_columns(float* y, int64_t rows, int64_t cols, bool accumulate, const Term& term) {
  using V = typename S::V;
  for (int64_t r0 = 0; r0 == 0 || r0 < rows; r0 += kSumBlock) {
    const int64_t r1 = min_of(rows, r0 + kSumBlock);
    const bool add = accumulate || r0 > 0;
    const auto strip = [&]<int NV>(int64_t c, int64_t count) {
      V sum[NV];
      VITKIT_UNROLL
      for (int j = 0; j < NV; ++j) sum[j] = V(0.0f);
      for (int64_t r = r0; r < r1; ++r) {
        VITKIT_UNROLL
        for (int j = 0; j < NV; ++j) sum[j] = term(sum[j], r, c + j * S::kWidth, count);
      }
      VITKIT_UNROLL
      for (int j = 0; j < NV; ++j) {
        float* y_j = y + c + j * S::kWidth;
        store_some<S>(y_j, add ? load_some<S>(y_j, count) + sum[j] : sum[j], count);
      }
    };
    int64_t c = 0;
    for (; c + 4 * S::kWidth <= cols; c += 4 * S::kWidth) strip.template operator()<4>(c, S::kWidth);
    for (; c < cols; c += S::kWidth) strip.template operator()<1>(c, cols - c);
  }
}

template <class S>
void sum_rows(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols, bool accumulate) {
  sum_columns<S>(y, rows, cols, accumulate, [&](auto sum, int64_t r, int64_t c, int64_t count) {
    return sum + load_some<S>(x + r * x_stride + c, count);
  });
}

template <class S>
void sum_rows_product(float* y, const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t rows,
                      int64_t cols) {
  sum_columns<S>(y, rows, cols, true, [&](auto sum, int64_t r, int64_t c, int64_t count) {
    return S::fma(load_some<S>(a + r * a_stride + c, count), load_some<S>(b + r * b_stride + c, count), sum);
  });
}

/// The two sums over one row that gradients of norms need.
template <class V>
struct RowSums {
  V first, second;
};

/// first = sum of u, second = sum of u * z, for (u, z) = pair(column, count).
template <class S, class Pair>
VITKIT_INLINE RowSums<float> row_sums(int64_t cols, const Pair& pair) {
  using V = typename S::V;
  V first(0.0f), second(0.0f);
  for (int64_t c = 0; c < cols; c += S::kWidth) {
    const RowSums<V> uz = pair(c, cols - c);
    first = first + uz.first;
    second = S::fma(uz.first, uz.second, second);
  }
  return {S::reduce_add(first), S::reduce_add(second)};
}

/// Layer norm, and RMS norm with mean == null, where the mean of x and that of the gradient are not subtracted.
template <class S, bool kCentred>
VITKIT_INLINE void norm_grad(float* d_x, int64_t d_x_stride, float* d_gamma, float* d_beta, const float* d_y,
                             int64_t d_y_stride, const float* x, int64_t x_stride, const float* mean, const float* rstd,
                             const float* gamma, int64_t rows, int64_t cols) {
  using V = typename S::V;
  const float inverse = cols > 0 ? 1.0f / static_cast<float>(cols) : 0.0f;
  for (int64_t r0 = 0; r0 < rows; r0 += kRowGroup) {
    const int64_t group = min_of(kRowGroup, rows - r0);
    RowSums<float> sums[kRowGroup];
    const auto normalised = [&](int64_t r, int64_t c, int64_t count) {
      const V v = load_some<S>(x + r * x_stride + c, count);
      return kCentred ? (v - V(mean[r])) * V(rstd[r]) : v * V(rstd[r]);
    };
    for (int64_t i = 0; i < group; ++i)
      sums[i] = row_sums<S>(cols, [&](int64_t c, int64_t count) {
        V u = load_some<S>(d_y + (r0 + i) * d_y_stride + c, count);
        if (gamma) u = u * load_some<S>(gamma + c, count);
        return RowSums<V>{u, normalised(r0 + i, c, count)};
      });
    for (int64_t c = 0; c < cols; c += S::kWidth) {
      const int64_t count = cols - c;
      const V gamma_c = gamma ? load_some<S>(gamma + c, count) : V(1.0f);
      V sum_gamma(0.0f), sum_beta(0.0f);
      for (int64_t i = 0; i < group; ++i) {
        const V d = load_some<S>(d_y + (r0 + i) * d_y_stride + c, count), z = normalised(r0 + i, c, count);
        sum_gamma = S::fma(d, z, sum_gamma);
        sum_beta = sum_beta + d;
        V g = d * gamma_c - z * V(sums[i].second * inverse);
        if (kCentred) g = g - V(sums[i].first * inverse);
        store_some<S>(d_x + (r0 + i) * d_x_stride + c, g * V(rstd[r0 + i]), count);
      }
      if (d_gamma) store_some<S>(d_gamma + c, load_some<S>(d_gamma + c, count) + sum_gamma, count);
      if (d_beta) store_some<S>(d_beta + c, load_some<S>(d_beta + c, count) + sum_beta, count);
    }
  }
}

template <class S>
void layer_norm_grad(float* d_x, int64_t d_x_stride, float* d_gamma, float* d_beta, const float* d_y,
                     int64_t d_y_stride, const float* x, int64_t x_stride, const float* mean, const float* rstd,
                     const float* gamma, int64_t rows, int64_t cols) {
  norm_grad<S, true>(d_x, d_x_stride, d_gamma, d_beta, d_y, d_y_stride, x, x_stride, mean, rstd, gamma, rows, cols);
}

template <class S>
void rms_norm_grad(float* d_x, int64_t d_x_stride, float* d_gamma, const float* d_y, int64_t d_y_stride, const float* x,
                   int64_t x_stride, const float* rstd, const float* gamma, int64_t rows, int64_t cols) {
  norm_grad<S, false>(d_x, d_x_stride, d_gamma, nullptr, d_y, d_y_stride, x, x_stride, nullptr, rstd, gamma, rows,
                      cols);
}

template <class S>
void l2_norm_grad(float* d_x, int64_t d_x_stride, const float* d_y, int64_t d_y_stride, const float* x,
                  int64_t x_stride, int64_t rows, int64_t cols, float eps) {
  using V = typename S::V;
  for (int64_t r = 0; r < rows; ++r) {
    const float *d_y_r = d_y + r * d_y_stride, *x_r = x + r * x_stride;
    V squares(0.0f), products(0.0f);
    for (int64_t c = 0; c < cols; c += S::kWidth) {
      const V v = load_some<S>(x_r + c, cols - c);
      squares = S::fma(v, v, squares);
      products = S::fma(v, load_some<S>(d_y_r + c, cols - c), products);
    }
    const float length = __builtin_sqrtf(S::reduce_add(squares));
    const bool clamped = length < eps;
    const V divisor(clamped ? eps : length);
    const V along(clamped ? 0.0f : S::reduce_add(products) / length);  // d_y along the direction of x
    for (int64_t c = 0; c < cols; c += S::kWidth) {
      const V y = load_some<S>(x_r + c, cols - c) / divisor;
      const V d = load_some<S>(d_y_r + c, cols - c) - y * along;
      store_some<S>(d_x + r * d_x_stride + c, d / divisor, cols - c);
    }
  }
}

template <class S>
void softmax_grad(float* d_x, int64_t d_x_stride, const float* d_y, int64_t d_y_stride, const float* y,
                  int64_t y_stride, int64_t rows, int64_t cols, float scale) {
  using V = typename S::V;
  for (int64_t r = 0; r < rows; ++r) {
    const float *d_y_r = d_y + r * d_y_stride, *y_r = y + r * y_stride;
    V products(0.0f);
    for (int64_t c = 0; c < cols; c += S::kWidth)
      products = S::fma(load_some<S>(d_y_r + c, cols - c), load_some<S>(y_r + c, cols - c), products);
    const V mean(S::reduce_add(products)), factor(scale);
    for (int64_t c = 0; c < cols; c += S::kWidth) {
      const V d = load_some<S>(d_y_r + c, cols - c) - mean;
      store_some<S>(d_x + r * d_x_stride + c, factor * load_some<S>(y_r + c, cols - c) * d, cols - c);
    }
  }
}

}  // namespace
}  // namespace vit::kernels
