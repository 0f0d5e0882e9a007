// Winograd's 3 x 3 convolutions (winograd.h): a block of tiles is transformed into 16 matrices [tiles, channels] that
// stay in L2; for each panel of outputs these meet the weights in 16 products with the register tile of gemm.inl.h, and
// the sums are turned back into pixels. Every part transforms the tiles that it reads: sharing them among threads would
// mean to write four times the map to memory and wait for each other.
#pragma once

#include "vit/kernels/gemm.inl.h"
#include "vit/kernels/winograd.h"

namespace vit::kernels {
namespace {

/// Tiles that are transformed together: whole register tiles whose sums and products stay in L2 beside a panel of
/// weights, and enough of them to be worth reading the weights of wide maps from L3.
template <class S>
constexpr int64_t winograd_block(int64_t channels) {
  constexpr int64_t kFloats = 1 << 17, kMost = 24, kLeast = 18;
  const int64_t fit = kFloats / (kWinogradPlaces * max_of(channels, 1));
  return min_of(max_of(fit, kLeast), kMost) / S::kTileRows * S::kTileRows;
}

/// Floats from one tile's channels to the next's: whole cache lines.
constexpr int64_t winograd_stride(int64_t channels) { return ceil_div(channels, kLine) * kLine; }

template <class S>
int64_t winograd_workspace_size(int64_t channels) {
  const int64_t block = winograd_block<S>(channels), stride = winograd_stride(channels);
  return kWinogradPlaces * block * (stride + kPanelWidth<S>)+stride;
}

/// Where a tile lies: its image and its upper left pixel of the output.
struct WinogradTile {
  int64_t image, y, x;
  WinogradTile(const WinogradArgs& args, int64_t tile)
      : image(tile / args.tiles_per_image()),
        y(tile % args.tiles_per_image() / args.tile_columns() * 2),
        x(tile % args.tile_columns() * 2) {}
};

/// y = B^T x of four vectors.
template <class V>
VITKIT_INLINE void winograd_differences(V (&x)[4]) {
  const V a = x[0] - x[2], b = x[1] + x[2], c = x[2] - x[1], d = x[1] - x[3];
  x[0] = a;
  x[1] = b;
  x[2] = c;
  x[3] = d;
}

/// Writes B^T d B of the tile's 4 x 4 pixels d, all channels, to sums + place * place_stride. What lies outside the
/// image is read from `zeros`.
template <class S>
void winograd_transform(float* sums, int64_t place_stride, const WinogradArgs& args, const float* zeros, int64_t tile) {
  using V = typename S::V;
  const WinogradTile at(args, tile);
  const float* pixels[4][4];
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 4; ++j) {
      const int64_t y = at.y + i - args.padding, x = at.x + j - args.padding;
      const bool inside = y >= 0 && y < args.height && x >= 0 && x < args.width;
      pixels[i][j] = inside ? args.images + ((at.image * args.height + y) * args.width + x) * args.channels : zeros;
    }
  for (int64_t ch = 0; ch < args.channels; ch += S::kWidth) {
    const int64_t rest = args.channels - ch;
    V d[4][4];  // [column][row]
    VITKIT_UNROLL
    for (int j = 0; j < 4; ++j) {
      VITKIT_UNROLL
      for (int i = 0; i < 4; ++i) d[j][i] = load_some<S>(pixels[i][j] + ch, rest);
      winograd_differences(d[j]);
    }
    VITKIT_UNROLL
    for (int i = 0; i < 4; ++i) {
      V row[4] = {d[0][i], d[1][i], d[2][i], d[3][i]};
      winograd_differences(row);
      VITKIT_UNROLL
      for (int j = 0; j < 4; ++j) store_some<S>(sums + (4 * i + j) * place_stride + ch, row[j], rest);
    }
  }
}

/// One tile's pixels A^T m A from the products m, finished to the output.
template <class S>
void winograd_finish(const WinogradArgs& args, const float* products, int64_t place_stride, int64_t tile,
                     const Panel<S>& panel, int64_t col) {
  using V = typename S::V;
  alignas(64) float pixels[2 * 2 * kPanelWidth<S>];
  const int64_t width = panel.width();
  for (int64_t j = 0; j < width; j += S::kWidth) {
    V upper[4], lower[4];  // A^T m
    VITKIT_UNROLL
    for (int x = 0; x < 4; ++x) {
      V m[4];
      VITKIT_UNROLL
      for (int y = 0; y < 4; ++y) m[y] = S::load_aligned(products + (4 * y + x) * place_stride + j);
      upper[x] = (m[0] + m[1]) + m[2];
      lower[x] = (m[1] - m[2]) - m[3];
    }
    S::store_aligned(pixels + j, (upper[0] + upper[1]) + upper[2]);
    S::store_aligned(pixels + width + j, (upper[1] - upper[2]) - upper[3]);
    S::store_aligned(pixels + 2 * width + j, (lower[0] + lower[1]) + lower[2]);
    S::store_aligned(pixels + 3 * width + j, (lower[1] - lower[2]) - lower[3]);
  }
  const WinogradTile at(args, tile);
  const int64_t columns = min_of(2, args.out_w() - at.x);
  for (int64_t i = 0; i < min_of(2, args.out_h() - at.y); ++i) {
    const int64_t pixel = (at.image * args.out_h() + at.y + i) * args.out_w() + at.x;
    finish_tile<S>(args.c + pixel * args.c_stride + col, args.c_stride, pixels + 2 * i * width, width, columns,
                   panel.cols, epilogue_at(args.epilogue, pixel, col));
  }
}

/// Tiles [first, first + tiles), at most a block, times panels [p0, p1).
template <class S>
void winograd_tiles(const WinogradArgs& args, float* workspace, int64_t first, int64_t tiles, int64_t p0, int64_t p1) {
  const int64_t stride = winograd_stride(args.channels), block = winograd_block<S>(args.channels);
  float* sums = workspace;
  float* products = sums + kWinogradPlaces * block * stride;
  const float* zeros = products + kWinogradPlaces * block * kPanelWidth<S>;
  for (int64_t t = 0; t < tiles; ++t) winograd_transform<S>(sums + t * stride, block * stride, args, zeros, first + t);
  const int64_t weight_floats = ceil_div(args.n, kPanelWidth<S>) * kPanelWidth<S> * args.channels;
  const RowTiles<S> rows(0, tiles);
  for (int64_t p = p0; p < p1; ++p) {
    const Panel<S> panel(args.n, p);
    const int64_t width = panel.width(), place_stride = block * width, col = p * kPanelWidth<S>;
    for (int64_t place = 0; place < kWinogradPlaces; ++place) {
      const float* weight = args.weight + place * weight_floats + col * args.channels;
      for (int64_t t = 0; t < rows.count; ++t) {
        const int64_t row = rows.first_row(t), count = rows.first_row(t + 1) - row;
        Tiles<S>::dense(count, panel.vectors)(products + place * place_stride + row * width, width,
                                              sums + (place * block + row) * stride, stride, weight, args.channels);
      }
    }
    for (int64_t t = 0; t < tiles; ++t)
      winograd_finish<S>(args, products + t * width, place_stride, first + t, panel, col);
  }
}

template <class S>
void conv_winograd(const WinogradArgs& args, float* workspace, const GemmPart& part) {
  const int64_t tiles = part.m1 - part.m0, block = winograd_block<S>(args.channels), blocks = ceil_div(tiles, block);
  const int64_t stride = winograd_stride(args.channels);
  float* zeros = workspace + kWinogradPlaces * block * (stride + kPanelWidth<S>);
  for (int64_t i = 0; i < stride; ++i) zeros[i] = 0.0f;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t first = part.m0 + tiles * i / blocks, last = part.m0 + tiles * (i + 1) / blocks;
    winograd_tiles<S>(args, workspace, first, last - first, part.p0, part.p1);
  }
}

}  // namespace
}  // namespace vit::kernels
