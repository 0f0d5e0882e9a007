// Depthwise convolution over channels-last maps: no product to pack, so taps are accumulated straight in registers.
#pragma once

#include "vit/kernels/epilogue.inl.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

/// acc [count] = the taps' weighted sum of channels [ch, ch + count), count <= NV vectors; the last may be partial.
template <class S, int NV>
VITKIT_INLINE void depthwise_run(float* acc, const IndirectRows& a, const float* image, const int32_t* offsets,
                                 const float* weight, int64_t ch, int64_t count) {
  using V = typename S::V;
  V sum[NV];
  VITKIT_UNROLL
  for (int j = 0; j < NV; ++j) sum[j] = V(0.0f);
  for (int64_t tap = 0; tap < a.taps; ++tap) {
    if (offsets[tap] == kZeroTap) continue;
    const float *x = image + offsets[tap] + ch, *w = weight + tap * a.tap_length + ch;
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) {
      const int64_t at = j * S::kWidth, rest = count - at;
      sum[j] = S::fma(load_some<S>(x + at, rest), load_some<S>(w + at, rest), sum[j]);
    }
  }
  VITKIT_UNROLL
  for (int j = 0; j < NV; ++j) S::store_aligned(acc + j * S::kWidth, sum[j]);
}

template <class S>
void conv_depthwise(const DepthwiseArgs& args, int64_t r0, int64_t r1) {
  constexpr int kVectors = 4;
  constexpr int64_t kBlock = kVectors * S::kWidth;
  alignas(64) float acc[kBlock];
  const IndirectRows& a = args.a;
  for (int64_t r = r0; r < r1; ++r) {
    const float* image = a.images + r / a.rows_per_image * a.image_stride;
    const int32_t* offsets = a.offsets + r % a.rows_per_image * a.taps;
    int64_t ch = 0;
    const auto finish = [&](int64_t count) {
      finish_tile<S>(args.c + r * args.c_stride + ch, args.c_stride, acc, kBlock, 1, count,
                     epilogue_at(args.epilogue, r, ch));
    };
    for (; ch + kBlock <= a.tap_length; ch += kBlock) {
      depthwise_run<S, kVectors>(acc, a, image, offsets, args.weight, ch, kBlock);
      finish(kBlock);
    }
    for (int64_t count; ch < a.tap_length; ch += count) {
      count = min_of(S::kWidth, a.tap_length - ch);
      depthwise_run<S, 1>(acc, a, image, offsets, args.weight, ch, count);
      finish(count);
    }
  }
}

}  // namespace
}  // namespace vit::kernels
