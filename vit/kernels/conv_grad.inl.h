// Gradients of convolutions over indirect rows (kernels.h): taps written down as columns for the products of dense
// convolutions and scattered back, and the depthwise convolution's own.
#pragma once

#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

/// Calls visit(row, tap, start) for rows [r0, r1) in order: start is where the tap's piece begins, in floats from the
/// first image, or kZeroTap.
template <class Visit>
VITKIT_INLINE void for_taps(const IndirectRows& a, int64_t r0, int64_t r1, const Visit& visit) {
  for (int64_t r = r0; r < r1; ++r) {
    const int64_t image = r / a.rows_per_image * a.image_stride;
    const int32_t* offsets = a.offsets + r % a.rows_per_image * a.taps;
    for (int64_t tap = 0; tap < a.taps; ++tap)
      visit(r, tap, offsets[tap] == kZeroTap ? int64_t{kZeroTap} : image + offsets[tap]);
  }
}

template <class S>
void gather_rows(float* columns, const IndirectRows& a, int64_t r0, int64_t r1) {
  using V = typename S::V;
  const int64_t length = a.tap_length;
  for_taps(a, r0, r1, [&](int64_t r, int64_t tap, int64_t start) {
    float* y = columns + ((r - r0) * a.taps + tap) * length;
    if (start == kZeroTap)
      for (int64_t i = 0; i < length; i += S::kWidth) store_some<S>(y + i, V(0.0f), length - i);
    else
      for (int64_t i = 0; i < length; i += S::kWidth)
        store_some<S>(y + i, load_some<S>(a.images + start + i, length - i), length - i);
  });
}

template <class S>
void scatter_rows(float* images, const float* columns, const IndirectRows& a, int64_t r0, int64_t r1) {
  const int64_t length = a.tap_length;
  for_taps(a, r0, r1, [&](int64_t r, int64_t tap, int64_t start) {
    if (start == kZeroTap) return;
    const float* x = columns + ((r - r0) * a.taps + tap) * length;
    for (int64_t i = 0; i < length; i += S::kWidth)
      store_some<S>(images + start + i, load_some<S>(images + start + i, length - i) + load_some<S>(x + i, length - i),
                    length - i);
  });
}

/// d_weight of channels [ch, ch + count) and taps [tap, tap + T) += the sum over rows, which stays in registers. count
/// is NV whole vectors or, where NV is 1, the rest of the channels.
template <class S, int T, int NV>
VITKIT_INLINE void depthwise_weight_tile(float* d_weight, const DepthwiseArgs& args, int64_t tap, int64_t ch,
                                         int64_t count, int64_t r0, int64_t r1) {
  using V = typename S::V;
  alignas(64) static constexpr float kZeros[NV * S::kWidth] = {};
  const IndirectRows& a = args.a;
  const auto load = [count](const float* from, int j) {
    return NV > 1 ? S::load(from + j * S::kWidth) : load_some<S>(from, count);
  };
  float* target = d_weight + tap * a.tap_length + ch;
  V sum[T][NV];
  VITKIT_UNROLL
  for (int t = 0; t < T; ++t) {
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) sum[t][j] = load(target + t * a.tap_length, j);
  }
  int64_t row = r0 % a.rows_per_image;  // within its image
  const float* image = a.images + r0 / a.rows_per_image * a.image_stride + ch;
  for (int64_t r = r0; r < r1; ++r, ++row) {
    if (row == a.rows_per_image) {
      row = 0;
      image += a.image_stride;
    }
    const int32_t* offsets = a.offsets + row * a.taps + tap;
    V d[NV];
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) d[j] = load(args.c + r * args.c_stride + ch, j);
    VITKIT_UNROLL
    for (int t = 0; t < T; ++t) {
      const float* x = offsets[t] == kZeroTap ? kZeros : image + offsets[t];
      VITKIT_UNROLL
      for (int j = 0; j < NV; ++j) sum[t][j] = S::fma(d[j], load(x, j), sum[t][j]);
    }
  }
  VITKIT_UNROLL
  for (int t = 0; t < T; ++t) {
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j)
      store_some<S>(target + t * a.tap_length + j * S::kWidth, sum[t][j], NV > 1 ? S::kWidth : count);
  }
}

/// All taps of channels [ch, ch + count).
template <class S, int NV>
__attribute__((noinline)) void depthwise_weight_columns(float* d_weight, const DepthwiseArgs& args, int64_t ch,
                                                        int64_t count, int64_t r0, int64_t r1) {
  int64_t tap = 0;
  for (; tap + 3 <= args.a.taps; tap += 3) depthwise_weight_tile<S, 3, NV>(d_weight, args, tap, ch, count, r0, r1);
  for (; tap < args.a.taps; ++tap) depthwise_weight_tile<S, 1, NV>(d_weight, args, tap, ch, count, r0, r1);
}

template <class S>
void conv_depthwise_grad(float* d_weight, float* d_images, const DepthwiseArgs& args, int64_t r0, int64_t r1) {
  constexpr int64_t kPair = 2 * S::kWidth;
  const int64_t channels = args.a.tap_length;
  if (d_weight) {
    int64_t ch = 0;
    for (; ch + kPair <= channels; ch += kPair) depthwise_weight_columns<S, 2>(d_weight, args, ch, kPair, r0, r1);
    for (; ch < channels; ch += S::kWidth)
      depthwise_weight_columns<S, 1>(d_weight, args, ch, min_of(S::kWidth, channels - ch), r0, r1);
  }
  if (!d_images) return;
  for_taps(args.a, r0, r1, [&](int64_t r, int64_t tap, int64_t start) {
    if (start == kZeroTap) return;
    const float *d_c = args.c + r * args.c_stride, *weight = args.weight + tap * channels;
    for (int64_t i = 0; i < channels; i += S::kWidth) {
      const int64_t rest = channels - i;
      float* d_x = d_images + start + i;
      store_some<S>(d_x, S::fma(load_some<S>(d_c + i, rest), load_some<S>(weight + i, rest), load_some<S>(d_x, rest)),
                    rest);
    }
  });
}

}  // namespace
}  // namespace vit::kernels
