// Convolutions of 3 x 3 taps, stride 1 and no dilation by Winograd's algorithm F(2 x 2, 3 x 3) (Lavin & Gray 2016,
// "Fast algorithms for convolutional neural networks", section 4.1): the output is cut into tiles of 2 x 2 pixels; a
// tile and the 4 x 4 pixels below it become sums and differences, among which 16 products per pair of channels do the
// work of
// 36. Factors of the transforms are 1 and 1/2, so the rounding error stays within a small multiple of the direct sum's.
#pragma once

#include <cstdint>

#include "vit/kernels/kernels.h"

namespace vit::kernels {

/// Products per tile and pair of channels: the places of a transformed tile of 4 x 4.
inline constexpr int64_t kWinogradPlaces = 16;

/// c [batch * out_h * out_w, n] = epilogue(convolution of images [batch, height, width, channels]). A part's rows are
/// tiles, counted row by row through all images; its panels are columns of c.
struct WinogradArgs {
  float* c = nullptr;
  int64_t c_stride = 0;
  const float* images = nullptr;
  int64_t height = 0, width = 0, channels = 0;
  int64_t padding = 0;            ///< zeros on each side
  const float* weight = nullptr;  ///< kWinogradPlaces matrices [channels, n] one after the other, each from pack_b
  int64_t n = 0;
  Epilogue epilogue;

  // Always inlined: the kernels of every instruction set call them (docs/kernels.md, "No AVX in the portable code").
  [[gnu::always_inline]] int64_t out_h() const { return height + 2 * padding - 2; }
  [[gnu::always_inline]] int64_t out_w() const { return width + 2 * padding - 2; }
  [[gnu::always_inline]] int64_t tile_rows() const { return (out_h() + 1) / 2; }
  [[gnu::always_inline]] int64_t tile_columns() const { return (out_w() + 1) / 2; }
  [[gnu::always_inline]] int64_t tiles_per_image() const { return tile_rows() * tile_columns(); }
};

/// transformed [n, kWinogradPlaces, channels] = G g G^T of each filter g of weight [n, 3, 3, channels].
void winograd_weights(float* transformed, const float* weight, int64_t n, int64_t channels);

}  // namespace vit::kernels
