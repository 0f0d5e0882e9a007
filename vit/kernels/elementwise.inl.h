// Element by element: sums, products, scaling, the transpose, 8-bit pixels to floats, and the multiply-add peak.
#pragma once

#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

/// y = f(a, b) over a span.
template <class S, class F>
VITKIT_INLINE void zip(float* y, const float* a, const float* b, int64_t count, const F& f) {
  int64_t i = 0;
  for (; i + S::kWidth <= count; i += S::kWidth) S::store(y + i, f(S::load(a + i), S::load(b + i)));
  const int64_t rest = count - i;
  if (rest > 0) S::store_tail(y + i, f(S::load_tail(a + i, rest), S::load_tail(b + i, rest)), rest);
}

template <class S>
void add(float* y, const float* a, const float* b, int64_t count) {
  zip<S>(y, a, b, count, [](auto u, auto v) { return u + v; });
}

template <class S>
void multiply(float* y, const float* a, const float* b, int64_t count) {
  zip<S>(y, a, b, count, [](auto u, auto v) { return u * v; });
}

template <class S>
void scale(float* y, const float* x, float factor, int64_t count) {
  const typename S::V f(factor);
  zip<S>(y, x, x, count, [&](auto u, auto) { return u * f; });
}

template <class S>
void scale_add(float* y, const float* a, const float* b, const float* gamma, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < cols; i += S::kWidth) {
      const int64_t at = r * cols + i, rest = cols - i;
      store_some<S>(
          y + at, S::fma(load_some<S>(gamma + i, rest), load_some<S>(b + at, rest), load_some<S>(a + at, rest)), rest);
    }
}

/// By 4 x 4 blocks and, for the rest, one by one: what whole blocks of the unit leave over.
VITKIT_INLINE void transpose_rest(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows,
                                  int64_t cols) {
  const int64_t rows4 = rows & ~int64_t{3}, cols4 = cols & ~int64_t{3};
  for (int64_t c = 0; c < cols4; c += 4)
    for (int64_t r = 0; r < rows4; r += 4) transpose4x4(y + c * y_stride + r, y_stride, x + r * x_stride + c, x_stride);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = r < rows4 ? cols4 : 0; c < cols; ++c) y[c * y_stride + r] = x[r * x_stride + c];
}

template <class S>
void transpose(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows, int64_t cols) {
  constexpr int64_t kBlock = S::kTransposeBlock;
  const int64_t rows_done = rows - rows % kBlock, cols_done = cols - cols % kBlock;
  for (int64_t c = 0; c < cols_done; c += kBlock)
    for (int64_t r = 0; r < rows_done; r += kBlock)
      S::transpose_block(y + c * y_stride + r, y_stride, x + r * x_stride + c, x_stride);
  transpose_rest(y + cols_done * y_stride, y_stride, x + cols_done, x_stride, rows_done, cols - cols_done);
  transpose_rest(y + rows_done, y_stride, x + rows_done * x_stride, x_stride, rows - rows_done, cols);
}

/// Left to the compiler, which vectorises what matters; the order and rounding of the three steps is the contract.
template <class S>
void normalize_u8(float* y, int64_t plane_stride, const uint8_t* x, int64_t width, float scale, const float* mean,
                  const float* std) {
  for (int64_t c = 0; c < 3; ++c) {
    float* plane = y + c * plane_stride;
    const float mean_c = mean[c], std_c = std[c];
    for (int64_t i = 0; i < width; ++i) plane[i] = (static_cast<float>(x[3 * i + c]) * scale - mean_c) / std_c;
  }
}

/// Twelve independent chains hide a latency of up to six cycles on two multiply-add units.
template <class S>
float fma_peak(int64_t iterations, int64_t* flops) {
  using V = typename S::V;
  constexpr int kChains = 12;
  V acc[kChains];
  VITKIT_UNROLL
  for (int j = 0; j < kChains; ++j) acc[j] = V(0.001f * static_cast<float>(j));
  const V factor(0.999f), term(0.001f);
  for (int64_t i = 0; i < iterations; ++i) VITKIT_UNROLL
  for (int j = 0; j < kChains; ++j) acc[j] = S::fma(acc[j], factor, term);
  V total(0.0f);
  VITKIT_UNROLL
  for (int j = 0; j < kChains; ++j) total = total + acc[j];
  *flops = iterations * kChains * S::kWidth * 2;
  return S::reduce_add(total);
}

}  // namespace
}  // namespace vit::kernels
