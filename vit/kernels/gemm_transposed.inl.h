// c = a^T b, the gradient of a weight: both operands have the long dimension k (tokens of a batch) as their rows. The
// register tile is that of gemm.inl.h turned round: its M rows of c are M neighbouring columns of a, so that one k
// needs M broadcasts from one or two cache lines of a and one row of b.
//
// k runs in blocks: a block of one panel of b is copied to the stack (rows of b lie a whole matrix row apart, which
// costs a TLB entry and an L1 set each), and c collects the blocks' sums, in order. See docs/kernels.md.
#pragma once

#include "vit/kernels/gemm.inl.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

inline constexpr int64_t kTransposedBlock = 256;  ///< k per block: a panel of b is 64 KB on AVX-512

/// One value of k: row k of b and M columns of a.
template <class S, int M, int NV>
VITKIT_INLINE void transposed_step(typename S::V (&acc)[M][NV], const float* a_k, const float* b_k) {
  using V = typename S::V;
  V row[NV];
  VITKIT_UNROLL
  for (int j = 0; j < NV; ++j) row[j] = S::load_aligned(b_k + j * S::kWidth);
  VITKIT_UNROLL
  for (int i = 0; i < M; ++i) {
    const V a_ki(a_k[i]);
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) acc[i][j] = S::fma(a_ki, row[j], acc[i][j]);
  }
}

/// c [M, NV vectors] = a [k, M]^T * b [k, NV vectors], added to c when `add`. Rows of b and c are aligned, their
/// strides whole vectors.
template <class S, int M, int NV>
void tile_transposed(float* c, int64_t c_stride, const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                     int64_t k, bool add) {
  typename S::V acc[M][NV];
  clear<S>(acc);
  if (add) {
    VITKIT_UNROLL
    for (int i = 0; i < M; ++i) {
      VITKIT_UNROLL
      for (int j = 0; j < NV; ++j) acc[i][j] = S::load_aligned(c + i * c_stride + j * S::kWidth);
    }
  }
  int64_t kk = 0;
  for (; kk + 4 <= k; kk += 4) {
    transposed_step<S>(acc, a, b);
    transposed_step<S>(acc, a + a_stride, b + b_stride);
    transposed_step<S>(acc, a + 2 * a_stride, b + 2 * b_stride);
    transposed_step<S>(acc, a + 3 * a_stride, b + 3 * b_stride);
    a += 4 * a_stride;
    b += 4 * b_stride;
  }
  for (; kk < k; ++kk, a += a_stride, b += b_stride) transposed_step<S>(acc, a, b);
  store_all<S>(c, c_stride, acc);
}

/// Tile functions by rows and vectors.
template <class S>
struct TransposedTiles {
  using Function = void (*)(float*, int64_t, const float*, int64_t, const float*, int64_t, int64_t, bool);

  template <int M = S::kTileRows, int NV = S::kPanelVectors>
  static Function get(int64_t m, int64_t nv) {
    if constexpr (M > 1) {
      if (m < M) return get<M - 1, NV>(m, nv);
    }
    if constexpr (NV > 1) {
      if (nv < NV) return get<M, NV - 1>(m, nv);
    }
    return tile_transposed<S, M, NV>;
  }
};

template <class S>
void gemm_transposed(const GemmTransposedArgs& args, const GemmPart& part) {
  alignas(64) float b_block[kTransposedBlock * kPanelWidth<S>];
  alignas(64) float tile[S::kTileRows * kPanelWidth<S>];
  const RowTiles<S> tiles(part.m0, part.m1);
  Epilogue epilogue;
  for (int64_t p = part.p0; p < part.p1; ++p) {
    const Panel<S> panel(args.n, p);
    const int64_t col = p * kPanelWidth<S>;
    // Once even for k = 0: the sum over nothing is zero.
    for (int64_t k0 = 0; k0 == 0 || k0 < args.k; k0 += kTransposedBlock) {
      const int64_t k = min_of(kTransposedBlock, args.k - k0);
      pack_columns<S>(b_block, panel.width(), args.b + k0 * args.b_stride + col, 1, args.b_stride, panel.cols, k);
      epilogue.accumulate = args.accumulate || k0 > 0;
      for (int64_t t = 0; t < tiles.count; ++t) {
        const int64_t row = tiles.first_row(t), rows = tiles.first_row(t + 1) - row;
        float* c = args.c + row * args.c_stride + col;
        TransposedTiles<S>::get(rows, panel.vectors)(tile, panel.width(), args.a + k0 * args.a_stride + row,
                                                     args.a_stride, b_block, panel.width(), k, false);
        finish_tile<S>(c, args.c_stride, tile, panel.width(), rows, panel.cols, epilogue);
      }
    }
  }
}

}  // namespace
}  // namespace vit::kernels
