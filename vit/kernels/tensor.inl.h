// Elementwise functions with broadcasting, the exponential of any argument, sums and maxima of rows and columns.
#pragma once

#include "vit/kernels/gathered.inl.h"
#include "vit/kernels/norm.inl.h"
#include "vit/kernels/simd.h"
#include "vit/kernels/tensor_kernels.h"

namespace vit::kernels {
namespace {

/// e^x over all of f32: infinity above 88.7, zero below -103.9. The same reduction and polynomial as exp_nonpositive,
/// with a power of two that may also be large or denormal.
template <class S>
VITKIT_INLINE typename S::V exp_any(typename S::V x) {
  using V = typename S::V;
  const V clamped = S::min(V(89.5f), S::max(V(-110.0f), x));  // these orders keep a NaN
  const V magic(12582912.0f);                                 // 1.5 * 2^23: the addition rounds to a whole number
  const V n = (clamped * V(1.44269504f) + magic) - magic;
  V r = S::fma(n, V(-0.693359375f), clamped);
  r = S::fma(n, V(2.12194440e-4f), r);
  return S::ldexp(exp_polynomial<S>(r), n);
}

template <class S, Binary kF>
VITKIT_INLINE typename S::V combine(typename S::V a, typename S::V b) {
  using V = typename S::V;
  if constexpr (kF == Binary::add) return a + b;
  if constexpr (kF == Binary::subtract) return a - b;
  if constexpr (kF == Binary::multiply) return a * b;
  if constexpr (kF == Binary::divide) return a / b;
  if constexpr (kF == Binary::equal) return xsimd::select(a == b, V(1.0f), V(0.0f));
}

/// Calls body.template operator()<f>() with the function as a constant.
template <class Body>
VITKIT_INLINE void with_binary(Binary f, const Body& body) {
  switch (f) {
    case Binary::add:
      return body.template operator()<Binary::add>();
    case Binary::subtract:
      return body.template operator()<Binary::subtract>();
    case Binary::multiply:
      return body.template operator()<Binary::multiply>();
    case Binary::divide:
      return body.template operator()<Binary::divide>();
    case Binary::equal:
      return body.template operator()<Binary::equal>();
  }
}

/// y [cols] = f(a, b) for one row; an operand without a column stride is one number.
template <class S, class F>
VITKIT_INLINE void zip_row(float* y, const BroadcastOperand& a, const BroadcastOperand& b, int64_t row, int64_t cols,
                           const F& f) {
  using V = typename S::V;
  const float *a_r = a.data + row * a.row_stride, *b_r = b.data + row * b.row_stride;
  if (a.col_stride != 0 && b.col_stride != 0) {
    zip<S>(y, a_r, b_r, cols, f);
  } else if (a.col_stride != 0) {
    const V constant(*b_r);
    zip<S>(y, a_r, a_r, cols, [&](V u, V) { return f(u, constant); });
  } else if (b.col_stride != 0) {
    const V constant(*a_r);
    zip<S>(y, b_r, b_r, cols, [&](V u, V) { return f(constant, u); });
  } else {
    const V value = f(V(*a_r), V(*b_r));
    for (int64_t i = 0; i < cols; i += S::kWidth) store_some<S>(y + i, value, cols - i);
  }
}

template <class S>
void binary(Binary f, float* y, int64_t y_stride, const BroadcastOperand& a, const BroadcastOperand& b, int64_t rows,
            int64_t cols) {
  if (cols == 0) return;
  with_binary(f, [&]<Binary kF>() {
    for (int64_t r = 0; r < rows; ++r)
      zip_row<S>(y + r * y_stride, a, b, r, cols, [](auto u, auto v) { return combine<S, kF>(u, v); });
  });
}

template <class S, Unary kF>
VITKIT_INLINE typename S::V evaluate(typename S::V x) {
  using V = typename S::V;
  if constexpr (kF == Unary::exp) return exp_any<S>(x);
  if constexpr (kF == Unary::log) return xsimd::log(x);
  if constexpr (kF == Unary::square) return x * x;
  if constexpr (kF == Unary::sqrt) return S::sqrt(x);
  if constexpr (kF == Unary::reciprocal) return V(1.0f) / x;
  if constexpr (kF == Unary::elu_plus_one)
    return S::select_less(x, V(0.0f), exp_nonpositive<S>(S::min(V(0.0f), x)), x + V(1.0f));
}

/// f'(x) times d, from x and y = f(x).
template <class S, Unary kF>
VITKIT_INLINE typename S::V times_slope(typename S::V d, typename S::V x, typename S::V y) {
  using V = typename S::V;
  if constexpr (kF == Unary::exp) return d * y;
  if constexpr (kF == Unary::log) return d / x;
  if constexpr (kF == Unary::square) return d * (x + x);
  if constexpr (kF == Unary::sqrt) return d * V(0.5f) / y;
  if constexpr (kF == Unary::reciprocal) return V(0.0f) - d * y * y;
  if constexpr (kF == Unary::elu_plus_one) return S::select_less(x, V(0.0f), d * y, d);
}

template <class Body>
VITKIT_INLINE void with_unary(Unary f, const Body& body) {
  switch (f) {
    case Unary::exp:
      return body.template operator()<Unary::exp>();
    case Unary::log:
      return body.template operator()<Unary::log>();
    case Unary::square:
      return body.template operator()<Unary::square>();
    case Unary::sqrt:
      return body.template operator()<Unary::sqrt>();
    case Unary::reciprocal:
      return body.template operator()<Unary::reciprocal>();
    case Unary::elu_plus_one:
      return body.template operator()<Unary::elu_plus_one>();
  }
}

template <class S>
void unary(Unary f, float* y, const float* x, int64_t count) {
  with_unary(f,
             [&]<Unary kF>() { map_row<S>(y, x, count, [](auto v, int64_t, int64_t) { return evaluate<S, kF>(v); }); });
}

template <class S>
void unary_grad(Unary f, float* d_x, const float* d_y, const float* x, const float* y, int64_t count) {
  with_unary(f, [&]<Unary kF>() {
    map_row<S>(d_x, d_y, count, [&](auto d, int64_t i, int64_t rest) {
      return times_slope<S, kF>(d, load_some<S>(x + i, rest), load_some<S>(y + i, rest));
    });
  });
}

template <class S>
void copy(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r)
    map_row<S>(y + r * y_stride, x + r * x_stride, cols, [](auto v, int64_t, int64_t) { return v; });
}

template <class S>
void shift(float* y, const float* x, float value, int64_t count) {
  const typename S::V term(value);
  map_row<S>(y, x, count, [&](auto v, int64_t, int64_t) { return v + term; });
}

template <class S>
void row_sums(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols) {
  using V = typename S::V;
  for (int64_t r = 0; r < rows; ++r) y[r] = sum_row<S>(x + r * x_stride, cols, V(0.0f), [](V v) { return v; });
}

/// Products of M rows with b, two sums each: the additions' latency is hidden by the rows.
template <class S, int M>
VITKIT_INLINE void row_dots_of(float* y, const float* x, int64_t x_stride, const float* b, int64_t cols, float scale) {
  using V = typename S::V;
  V even[M], odd[M];
  VITKIT_UNROLL
  for (int i = 0; i < M; ++i) even[i] = odd[i] = V(0.0f);
  int64_t c = 0;
  for (; c + 2 * S::kWidth <= cols; c += 2 * S::kWidth) {
    const V b_even = S::load(b + c), b_odd = S::load(b + c + S::kWidth);
    VITKIT_UNROLL
    for (int i = 0; i < M; ++i) {
      even[i] = S::fma(S::load(x + i * x_stride + c), b_even, even[i]);
      odd[i] = S::fma(S::load(x + i * x_stride + c + S::kWidth), b_odd, odd[i]);
    }
  }
  for (; c < cols; c += S::kWidth) {
    const V b_c = load_some<S>(b + c, cols - c);
    VITKIT_UNROLL
    for (int i = 0; i < M; ++i) even[i] = S::fma(load_some<S>(x + i * x_stride + c, cols - c), b_c, even[i]);
  }
  VITKIT_UNROLL
  for (int i = 0; i < M; ++i) y[i] = scale * S::reduce_add(even[i] + odd[i]);
}

template <class S>
void row_dots(float* y, const float* x, int64_t x_stride, const float* b, int64_t rows, int64_t cols, float scale) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) row_dots_of<S, 4>(y + r, x + r * x_stride, x_stride, b, cols, scale);
  for (; r < rows; ++r) row_dots_of<S, 1>(y + r, x + r * x_stride, x_stride, b, cols, scale);
}

/// The larger, or the NaN among them.
template <class S>
VITKIT_INLINE typename S::V larger_or_nan(typename S::V best, typename S::V v) {
  return xsimd::select(xsimd::isnan(best) | (v < best), best, v);
}
VITKIT_INLINE float larger_or_nan(float best, float v) { return best != best || v < best ? best : v; }

/// Vectors side by side, so that one comparison does not wait for the other.
inline constexpr int kMaxima = 4;

template <class S>
void row_maxima(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols) {
  constexpr int64_t kStep = kMaxima * S::kWidth;
  for (int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * x_stride;
    float best = x_r[0];
    int64_t i = 0;
    if (cols >= kStep) {
      typename S::V best_v[kMaxima];
      VITKIT_UNROLL
      for (int j = 0; j < kMaxima; ++j) best_v[j] = S::load(x_r + j * S::kWidth);
      for (i = kStep; i + kStep <= cols; i += kStep) VITKIT_UNROLL
      for (int j = 0; j < kMaxima; ++j) best_v[j] = larger_or_nan<S>(best_v[j], S::load(x_r + i + j * S::kWidth));
      alignas(64) float lanes[S::kWidth];
      S::store_aligned(
          lanes, larger_or_nan<S>(larger_or_nan<S>(best_v[0], best_v[1]), larger_or_nan<S>(best_v[2], best_v[3])));
      for (int64_t j = 0; j < S::kWidth; ++j) best = larger_or_nan(best, lanes[j]);
    }
    for (; i < cols; ++i) best = larger_or_nan(best, x_r[i]);
    y[r] = best;
  }
}

template <class S>
void column_maxima(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols) {
  constexpr int64_t kStep = kMaxima * S::kWidth;
  int64_t c = 0;
  for (; c + kStep <= cols; c += kStep) {
    typename S::V best[kMaxima];
    VITKIT_UNROLL
    for (int j = 0; j < kMaxima; ++j) best[j] = S::load(x + c + j * S::kWidth);
    for (int64_t r = 1; r < rows; ++r) VITKIT_UNROLL
    for (int j = 0; j < kMaxima; ++j)
      best[j] = larger_or_nan<S>(best[j], S::load(x + r * x_stride + c + j * S::kWidth));
    VITKIT_UNROLL
    for (int j = 0; j < kMaxima; ++j) S::store(y + c + j * S::kWidth, best[j]);
  }
  for (; c < cols; c += S::kWidth) {
    const int64_t rest = cols - c;
    auto best = load_some<S>(x + c, rest);
    for (int64_t r = 1; r < rows; ++r) best = larger_or_nan<S>(best, load_some<S>(x + r * x_stride + c, rest));
    store_some<S>(y + c, best, rest);
  }
}

template <class S>
constexpr TensorKernels kTensorKernels = {
    .binary = binary<S>,
    .unary = unary<S>,
    .unary_grad = unary_grad<S>,
    .copy = copy<S>,
    .shift = shift<S>,
    .row_sums = row_sums<S>,
    .row_dots = row_dots<S>,
    .row_maxima = row_maxima<S>,
    .column_maxima = column_maxima<S>,
    .gathered_sum = gathered_sum<S>,
    .gathered_dots = gathered_dots<S>,
    .scattered_add = scattered_add<S>,
};

}  // namespace
}  // namespace vit::kernels
