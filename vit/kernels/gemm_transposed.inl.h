// c = a^T b, the gradient of a weight: both operands have the long dimension k (tokens of a batch) as their rows. The
// register tile is that of gemm.inl.h turned round: its M rows of c are M neighbouring columns of a, so that one k
// needs M broadcasts from one or two cache lines of a and one row of b.
//
// k runs in blocks, so that a block of a and c's rows stay in L2 while all panels pass. A block of one panel of b is
// copied to the stack (rows of b lie a whole matrix row apart, which costs a TLB entry and an L1 set each), and c
// collects the blocks' sums, in order. What the hardware does not foresee is fetched ahead: the lines of c that a tile
// will add to, and, evenly over the tiles, the next block of b. See docs/kernels.md for what each brings.
#pragma once

#include "vit/kernels/gemm.inl.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

inline constexpr int64_t kTransposedBlock = 256;  ///< k per block: a panel of b is 64 KB on AVX-512
inline constexpr int64_t kTransposedRows = 384;   ///< rows of c, columns of a, that all panels meet before the next
inline constexpr int64_t kTransposedStep = 16;    ///< k per turn of the tile's loop

/// Rows that a tile fetches into L2 while it multiplies, one per kTransposedStep of k. Nothing is read through it.
struct Ahead {
  const float* row;
  int64_t stride;
};

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

/// c [M, NV vectors] = a [k, M]^T * b [k, NV vectors], added to c when `add`. Rows of b are aligned, their stride whole
/// vectors; c has any alignment.
template <class S, int M, int NV>
void tile_transposed(float* c, int64_t c_stride, const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                     int64_t k, bool add, Ahead ahead) {
  constexpr int kLines = (NV * S::kWidth + kLine - 1) / kLine;
  typename S::V acc[M][NV];
  clear<S>(acc);
  int64_t kk = 0;
  for (; kk + kTransposedStep <= k; kk += kTransposedStep) {
    // Four values of k at a time and no more: of longer bodies GCC moves all broadcasts to the front, and spills.
    VITKIT_NO_UNROLL
    for (int line = 0; line < 4; ++line) {
      if (line < kLines) prefetch_l2(ahead.row + line * kLine);
      transposed_step<S>(acc, a, b);
      transposed_step<S>(acc, a + a_stride, b + b_stride);
      transposed_step<S>(acc, a + 2 * a_stride, b + 2 * b_stride);
      transposed_step<S>(acc, a + 3 * a_stride, b + 3 * b_stride);
      a += 4 * a_stride;
      b += 4 * b_stride;
    }
    ahead.row += ahead.stride;
  }
  for (; kk < k; ++kk, a += a_stride, b += b_stride) transposed_step<S>(acc, a, b);
  VITKIT_UNROLL
  for (int i = 0; i < M; ++i) {
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) {
      float* c_ij = c + i * c_stride + j * S::kWidth;
      S::store(c_ij, add ? S::load(c_ij) + acc[i][j] : acc[i][j]);
    }
  }
}

/// Tile functions by rows and vectors.
template <class S>
struct TransposedTiles {
  using Function = void (*)(float*, int64_t, const float*, int64_t, const float*, int64_t, int64_t, bool, Ahead);

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

/// Rows [m0, m1) times panel p of k values, with the panel's block of b packed: c = or += their sum. `next` are the
/// rows of the block of b that comes after this one.
template <class S>
void transposed_block(const GemmTransposedArgs& args, int64_t m0, int64_t m1, int64_t p, int64_t k0, int64_t k,
                      const float* b_block, Ahead next) {
  alignas(64) float buffer[S::kTileRows * kPanelWidth<S>];
  const Panel<S> panel(args.n, p);
  const RowTiles<S> tiles(m0, m1);
  const bool add = args.accumulate || k0 > 0;
  Epilogue epilogue;
  epilogue.accumulate = add;
  for (int64_t t = 0; t < tiles.count; ++t) {
    const int64_t row = tiles.first_row(t), rows = tiles.first_row(t + 1) - row;
    const auto tile = TransposedTiles<S>::get(rows, panel.vectors);
    const float* a = args.a + k0 * args.a_stride + row;
    float* c = args.c + row * args.c_stride + p * kPanelWidth<S>;
    prefetch_tile(c, args.c_stride, rows, panel.cols);
    const int64_t first = t * (kTransposedBlock / kTransposedStep);
    const Ahead ahead =
        first < kTransposedBlock ? Ahead{next.row + first * next.stride, next.stride} : Ahead{b_block, 0};
    if (panel.cols == panel.width()) {
      tile(c, args.c_stride, a, args.a_stride, b_block, panel.width(), k, add, ahead);
    } else {
      tile(buffer, panel.width(), a, args.a_stride, b_block, panel.width(), k, false, ahead);
      finish_tile<S>(c, args.c_stride, buffer, panel.width(), rows, panel.cols, epilogue);
    }
  }
}

template <class S>
void gemm_transposed(const GemmTransposedArgs& args, const GemmPart& part) {
  alignas(64) float b_block[kTransposedBlock * kPanelWidth<S>];
  const int64_t rows = part.m1 - part.m0, blocks = ceil_div(rows, kTransposedRows);
  // Once even for k = 0: the sum over nothing is zero.
  for (int64_t k0 = 0; k0 == 0 || k0 < args.k; k0 += kTransposedBlock) {
    const int64_t k = min_of(kTransposedBlock, args.k - k0);
    const float* b = args.b + k0 * args.b_stride;
    for (int64_t block = 0; block < blocks; ++block)
      for (int64_t p = part.p0; p < part.p1; ++p) {
        const Panel<S> panel(args.n, p);
        pack_columns<S>(b_block, panel.width(), b + p * kPanelWidth<S>, 1, args.b_stride, panel.cols, k);
        const float* next = b + part.p0 * kPanelWidth<S>;
        if (p + 1 < part.p1)
          next = b + (p + 1) * kPanelWidth<S>;
        else if (block + 1 == blocks && k0 + kTransposedBlock < args.k)
          next += kTransposedBlock * args.b_stride;
        transposed_block<S>(args, part.m0 + rows * block / blocks, part.m0 + rows * (block + 1) / blocks, p, k0, k,
                            b_block, {next, args.b_stride});
      }
  }
}

}  // namespace
}  // namespace vit::kernels
