// The end of every product: the accumulators of one register tile lie in a small buffer, and are finished from there to
// the output: y = residual + gamma * act(acc + bias), or the order of Epilogue::residual_first.
//
// Through a buffer and not from the registers, because one loop then serves all tile shapes, ragged columns and
// activations: unrolled over 24 accumulators for eight activations and 24 tile shapes the code would take megabytes. A
// tile of K = 768 costs 18,000 cycles; the trip through the buffer, 100.
#pragma once

#include "vit/kernels/activation.inl.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

/// finish_tile for one activation and order.
template <class S, Activation kKind, bool kResidualFirst>
VITKIT_INLINE void finish_rows(float* c, int64_t c_stride, const float* acc, int64_t acc_stride, int64_t rows,
                               int64_t cols, const Epilogue& epilogue) {
  using V = typename S::V;
  const float *bias = epilogue.bias, *gamma = epilogue.gamma, *residual = epilogue.residual;
  const bool accumulate = epilogue.accumulate;
  for (int64_t j = 0; j < cols; j += S::kWidth) {
    const int64_t rest = cols - j;
    const V bias_j = bias ? load_some<S>(bias + j, rest) : V(0.0f);
    const V gamma_j = gamma ? load_some<S>(gamma + j, rest) : V(1.0f);
    for (int64_t i = 0; i < rows; ++i) {
      V v = S::load_aligned(acc + i * acc_stride + j);
      float* c_ij = c + i * c_stride + j;
      if (accumulate) v = v + load_some<S>(c_ij, rest);
      v = v + bias_j;
      if constexpr (!kResidualFirst) v = activate<S, kKind>(v);
      if (gamma) v = v * gamma_j;
      if (residual) v = v + load_some<S>(residual + i * epilogue.residual_stride + j, rest);
      if constexpr (kResidualFirst) v = activate<S, kKind>(v);
      store_some<S>(c_ij, v, rest);
    }
  }
}

/// Finishes rows x cols accumulators. c and the epilogue's pointers are those of the tile's first element; `epilogue`
/// is a copy that the caller has moved there. acc rows are acc_stride apart, 64-byte aligned.
template <class S>
__attribute__((noinline)) void finish_tile(float* c, int64_t c_stride, const float* acc, int64_t acc_stride,
                                           int64_t rows, int64_t cols, const Epilogue& epilogue) {
  with_activation(epilogue.activation, [&]<Activation kKind>() {
    if (epilogue.residual_first)
      finish_rows<S, kKind, true>(c, c_stride, acc, acc_stride, rows, cols, epilogue);
    else
      finish_rows<S, kKind, false>(c, c_stride, acc, acc_stride, rows, cols, epilogue);
  });
}

/// The epilogue as seen from element (row, col).
VITKIT_INLINE Epilogue epilogue_at(const Epilogue& epilogue, int64_t row, int64_t col) {
  Epilogue moved = epilogue;
  if (moved.bias) moved.bias += col;
  if (moved.gamma) moved.gamma += col;
  if (moved.residual) moved.residual += row * moved.residual_stride + col;
  return moved;
}

}  // namespace
}  // namespace vit::kernels
