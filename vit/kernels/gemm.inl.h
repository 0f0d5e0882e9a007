// Packed matrix products: the register tile, the loops around it, and packing. See docs/kernels.md for the reasons
// behind the shapes and what was tried.
//
// b is packed in panels of kPanelVectors registers: panel p holds columns [p * panel_width, ...) for k = 0.. in order,
// so that a tile streams it. The last panel is only as many vectors wide as its columns need. a is read in place, one
// broadcast per row and k. Every element is one chain of multiply-adds over k in order, whatever the tile's shape:
// results do not depend on how rows and panels were split.
#pragma once

#include "vit/kernels/elementwise.inl.h"
#include "vit/kernels/epilogue.inl.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

template <class S>
constexpr int64_t kPanelWidth = S::kPanelVectors* S::kWidth;

/// Columns and vectors of panel p of an n-column matrix.
template <class S>
struct Panel {
  int64_t cols, vectors;
  Panel(int64_t n, int64_t p)
      : cols(min_of(kPanelWidth<S>, n - p * kPanelWidth<S>)), vectors(ceil_div(cols, S::kWidth)) {}
  int64_t width() const { return vectors * S::kWidth; }
};

// ---- the register tile ----

/// One value of k: M scalars and NV vectors are loaded for M * NV multiply-adds.
template <class S, int M, int NV>
VITKIT_INLINE void multiply_step(typename S::V (&acc)[M][NV], const float* const (&a)[M], const float* b, int64_t k) {
  using V = typename S::V;
  V b_k[NV];
  VITKIT_UNROLL
  for (int j = 0; j < NV; ++j) b_k[j] = S::load_aligned(b + (k * NV + j) * S::kWidth);
  VITKIT_UNROLL
  for (int i = 0; i < M; ++i) {
    const V a_ik(a[i][k]);
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) acc[i][j] = S::fma(a_ik, b_k[j], acc[i][j]);
  }
}

/// acc[i][j] += a[i][0..k) * b[0..k)[j]: the loop that everything is about. Four steps at a time, so that the branch
/// predictor foresees the end of short runs (16 turns for a head of 64).
template <class S, int M, int NV>
VITKIT_INLINE void multiply_run(typename S::V (&acc)[M][NV], const float* const (&a)[M], const float* b, int64_t k) {
  int64_t kk = 0;
  for (; kk + 4 <= k; kk += 4) {
    multiply_step<S>(acc, a, b, kk);
    multiply_step<S>(acc, a, b, kk + 1);
    multiply_step<S>(acc, a, b, kk + 2);
    multiply_step<S>(acc, a, b, kk + 3);
  }
  for (; kk < k; ++kk) multiply_step<S>(acc, a, b, kk);
}

template <class S, int M, int NV>
VITKIT_INLINE void clear(typename S::V (&acc)[M][NV]) {
  VITKIT_UNROLL
  for (int i = 0; i < M; ++i) {
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) acc[i][j] = typename S::V(0.0f);
  }
}

template <class S, int M, int NV>
VITKIT_INLINE void store_all(float* c, int64_t c_stride, const typename S::V (&acc)[M][NV]) {
  VITKIT_UNROLL
  for (int i = 0; i < M; ++i) {
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) S::store_aligned(c + i * c_stride + j * S::kWidth, acc[i][j]);
  }
}

/// c [M, NV vectors] = a [M, k] * b panel. c is a 64-byte aligned buffer, its stride whole vectors.
template <class S, int M, int NV>
void tile_dense(float* c, int64_t c_stride, const float* a, int64_t a_stride, const float* b, int64_t k) {
  typename S::V acc[M][NV];
  clear<S>(acc);
  const float* rows[M];
  VITKIT_UNROLL
  for (int i = 0; i < M; ++i) rows[i] = a + i * a_stride;
  multiply_run<S>(acc, rows, b, k);
  store_all<S>(c, c_stride, acc);
}

/// The same with rows [row, row + M) given by a table of offsets, one run per tap.
template <class S, int M, int NV>
void tile_indirect(float* c, int64_t c_stride, const IndirectRows& a, int64_t row, const float* b) {
  typename S::V acc[M][NV];
  clear<S>(acc);
  const float* image[M];
  const int32_t* offsets[M];
  int64_t in_image = row % a.rows_per_image;  // one division: a tile of few taps would wait for six
  const float* first = a.images + row / a.rows_per_image * a.image_stride;
  VITKIT_UNROLL
  for (int i = 0; i < M; ++i, ++in_image) {
    if (in_image == a.rows_per_image) {
      in_image = 0;
      first += a.image_stride;
    }
    image[i] = first;
    offsets[i] = a.offsets + in_image * a.taps;
  }
  const int64_t run = a.tap_length;
  for (int64_t tap = 0; tap < a.taps; ++tap) {
    const float* pieces[M];
    VITKIT_UNROLL
    for (int i = 0; i < M; ++i) {
      const int32_t offset = offsets[i][tap];
      pieces[i] = offset == kZeroTap ? a.zeros : image[i] + offset;
    }
    multiply_run<S>(acc, pieces, b + tap * run * NV * S::kWidth, run);
  }
  store_all<S>(c, c_stride, acc);
}

/// Tile functions by rows and vectors: dense(m, nv) and indirect(m, nv).
template <class S>
struct Tiles {
  using Dense = void (*)(float*, int64_t, const float*, int64_t, const float*, int64_t);
  using Indirect = void (*)(float*, int64_t, const IndirectRows&, int64_t, const float*);

  template <int M = S::kTileRows, int NV = S::kPanelVectors>
  static Dense dense(int64_t m, int64_t nv) {
    if constexpr (M > 1) {
      if (m < M) return dense<M - 1, NV>(m, nv);
    }
    if constexpr (NV > 1) {
      if (nv < NV) return dense<M, NV - 1>(m, nv);
    }
    return tile_dense<S, M, NV>;
  }

  template <int M = S::kTileRows, int NV = S::kPanelVectors>
  static Indirect indirect(int64_t m, int64_t nv) {
    if constexpr (M > 1) {
      if (m < M) return indirect<M - 1, NV>(m, nv);
    }
    if constexpr (NV > 1) {
      if (nv < NV) return indirect<M, NV - 1>(m, nv);
    }
    return tile_indirect<S, M, NV>;
  }
};

/// Cuts rows [begin, end) into the fewest tiles of at most kTileRows rows, nearly equal in height: 197 rows are tiles
/// of 6 and 5, never one of 1, which would use a sixth of the unit.
template <class S>
struct RowTiles {
  int64_t begin, end, count;
  RowTiles(int64_t first, int64_t last) : begin(first), end(last), count(ceil_div(last - first, S::kTileRows)) {}
  int64_t first_row(int64_t tile) const { return begin + (end - begin) * tile / count; }
};

// ---- the loops around it ----

inline constexpr int64_t kLine = 16;  ///< floats per cache line

/// Fetches the lines that a tile will read or write when it is done, so that they arrive while it multiplies.
VITKIT_INLINE void prefetch_tile(const float* p, int64_t stride, int64_t rows, int64_t cols) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; j += kLine) prefetch_l1_for_write(p + i * stride + j);
}

/// Rows that are multiplied with a whole panel before the next panel is begun.
inline constexpr int64_t kRowBlock = 264;

/// Runs multiply(tile_buffer, row, rows, packed panel, vectors) for all tiles of the part, and finishes each.
template <class S, class Multiply>
VITKIT_INLINE void for_tiles(float* c, int64_t c_stride, const float* b, int64_t n, int64_t k, const Epilogue& epilogue,
                             const GemmPart& part, const Multiply& multiply) {
  alignas(64) float tile[S::kTileRows * kPanelWidth<S>];
  const int64_t rows = part.m1 - part.m0;
  const int64_t blocks = rows <= kRowBlock * 3 / 2 ? 1 : ceil_div(rows, kRowBlock);
  const int64_t panel_floats = k * kPanelWidth<S>;
  for (int64_t block = 0; block < blocks; ++block) {
    const RowTiles<S> tiles(part.m0 + rows * block / blocks, part.m0 + rows * (block + 1) / blocks);
    for (int64_t p = part.p0; p < part.p1; ++p) {
      const Panel<S> panel(n, p);
      const float* b_p = b + p * panel_floats;
      for (int64_t t = 0; t < tiles.count; ++t) {
        const int64_t row = tiles.first_row(t), tile_rows = tiles.first_row(t + 1) - row;
        const int64_t col = p * kPanelWidth<S>;
        prefetch_tile(c + row * c_stride + col, c_stride, tile_rows, panel.cols);
        if (epilogue.residual && epilogue.residual != c)
          prefetch_tile(epilogue.residual + row * epilogue.residual_stride + col, epilogue.residual_stride, tile_rows,
                        panel.cols);
        multiply(tile, row, tile_rows, b_p, panel.vectors);
        finish_tile<S>(c + row * c_stride + col, c_stride, tile, panel.width(), tile_rows, panel.cols,
                       epilogue_at(epilogue, row, col));
      }
    }
  }
}

template <class S>
void gemm(const GemmArgs& args, const GemmPart& part) {
  for_tiles<S>(args.c, args.c_stride, args.b, args.n, args.k, args.epilogue, part,
               [&](float* tile, int64_t row, int64_t rows, const float* b_p, int64_t vectors) {
                 Tiles<S>::dense(rows, vectors)(tile, vectors * S::kWidth, args.a + row * args.a_stride, args.a_stride,
                                                b_p, args.k);
               });
}

template <class S>
void gemm_indirect(const GemmIndirectArgs& args, const GemmPart& part) {
  const int64_t k = args.a.taps * args.a.tap_length;
  for_tiles<S>(args.c, args.c_stride, args.b, args.n, k, args.epilogue, part,
               [&](float* tile, int64_t row, int64_t rows, const float* b_p, int64_t vectors) {
                 Tiles<S>::indirect(rows, vectors)(tile, vectors * S::kWidth, args.a, row, b_p);
               });
}

// ---- packing ----

/// y [k, width] = `cols` columns of b, element (k, n) at b[k * k_stride + n * n_stride], then zeros up to width.
template <class S>
void pack_columns(float* y, int64_t width, const float* b, int64_t n_stride, int64_t k_stride, int64_t cols,
                  int64_t k) {
  if (k_stride == 1) {
    transpose<S>(y, width, b, n_stride, cols, k);
  } else {
    const int64_t n_done = n_stride == 1 ? cols / S::kWidth * S::kWidth : 0;
    for (int64_t kk = 0; kk < k; ++kk) {
      for (int64_t n = 0; n < n_done; n += S::kWidth) S::store(y + kk * width + n, S::load(b + kk * k_stride + n));
      for (int64_t n = n_done; n < cols; ++n) y[kk * width + n] = b[kk * k_stride + n * n_stride];
    }
  }
  for (int64_t kk = 0; kk < k && cols < width; ++kk)
    for (int64_t n = cols; n < width; ++n) y[kk * width + n] = 0.0f;
}

template <class S>
void pack_b(float* packed, const float* b, int64_t n_stride, int64_t k_stride, int64_t n, int64_t k, int64_t p0,
            int64_t p1) {
  for (int64_t p = p0; p < p1; ++p) {
    const Panel<S> panel(n, p);
    const int64_t col = p * kPanelWidth<S>;
    pack_columns<S>(packed + col * k, panel.width(), b + col * n_stride, n_stride, k_stride, panel.cols, k);
  }
}

}  // namespace
}  // namespace vit::kernels
