// Depthwise convolution over channels-last maps: no product to pack, so taps are accumulated straight in registers.
//
// A tile is a few pixels by a few vectors of channels: a tap's weights are loaded once for all its pixels, and each of
// its inputs is the memory operand of one multiply-add. What lies outside the map is read from a row of zeros, without
// a branch.
#pragma once

#include "vit/kernels/epilogue.inl.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

inline constexpr int kDepthwisePixels = 4;

/// Where the taps of rows [r, r + P) begin. Found once for all channels: it takes divisions.
template <int P>
struct DepthwisePixels {
  const float* images[P];
  const int32_t* offsets[P];
  DepthwisePixels(const IndirectRows& a, int64_t r) {
    VITKIT_UNROLL
    for (int p = 0; p < P; ++p) {
      images[p] = a.images + (r + p) / a.rows_per_image * a.image_stride;
      offsets[p] = a.offsets + (r + p) % a.rows_per_image * a.taps;
    }
  }
};

/// finish_tile from registers, where nothing but sums and factors follows: the way through a buffer would take as long
/// as the taps.
template <class S, int P, int NV, class Load>
VITKIT_INLINE void finish_depthwise(const DepthwiseArgs& args, int64_t r, int64_t ch, int64_t count,
                                    const typename S::V (&sum)[P][NV], const Load& load) {
  using V = typename S::V;
  const Epilogue& e = args.epilogue;
  VITKIT_UNROLL
  for (int j = 0; j < NV; ++j) {
    const V bias = e.bias ? load(e.bias + ch, j) : V(0.0f), gamma = e.gamma ? load(e.gamma + ch, j) : V(1.0f);
    VITKIT_UNROLL
    for (int p = 0; p < P; ++p) {
      float* c = args.c + (r + p) * args.c_stride + ch;
      V v = sum[p][j];
      if (e.accumulate) v = v + load(c, j);
      v = v + bias;
      if (e.gamma) v = v * gamma;
      if (e.residual) v = v + load(e.residual + (r + p) * e.residual_stride + ch, j);
      store_some<S>(c + j * S::kWidth, v, NV > 1 ? S::kWidth : count);
    }
  }
}

/// Channels [ch, ch + count) of rows [r, r + P): count is NV whole vectors or, where NV is 1, the rest of the channels.
template <class S, int P, int NV>
VITKIT_INLINE void depthwise_tile(const DepthwiseArgs& args, const DepthwisePixels<P>& pixels, int64_t r, int64_t ch,
                                  int64_t count) {
  using V = typename S::V;
  alignas(64) static constexpr float kZeros[NV * S::kWidth] = {};
  const IndirectRows& a = args.a;
  V sum[P][NV];
  VITKIT_UNROLL
  for (int p = 0; p < P; ++p) {
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) sum[p][j] = V(0.0f);
  }
  const auto load = [count](const float* from, int j) {
    return NV > 1 ? S::load(from + j * S::kWidth) : load_some<S>(from, count);
  };
  const float* weight = args.weight + ch;
  for (int64_t tap = 0; tap < a.taps; ++tap, weight += a.tap_length) {
    V w[NV];
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) w[j] = load(weight, j);
    VITKIT_UNROLL
    for (int p = 0; p < P; ++p) {
      const int32_t offset = pixels.offsets[p][tap];
      const float* x = offset == kZeroTap ? kZeros : pixels.images[p] + ch + offset;
      VITKIT_UNROLL
      for (int j = 0; j < NV; ++j) sum[p][j] = S::fma(w[j], load(x, j), sum[p][j]);
    }
  }
  if (args.epilogue.activation == Activation::none) {
    finish_depthwise<S>(args, r, ch, count, sum, load);
    return;
  }
  alignas(64) float acc[P * NV * S::kWidth];
  VITKIT_UNROLL
  for (int p = 0; p < P; ++p) {
    VITKIT_UNROLL
    for (int j = 0; j < NV; ++j) S::store_aligned(acc + (p * NV + j) * S::kWidth, sum[p][j]);
  }
  finish_tile<S>(args.c + r * args.c_stride + ch, args.c_stride, acc, NV * S::kWidth, P, count,
                 epilogue_at(args.epilogue, r, ch));
}

/// All channels of rows [r, r + P).
template <class S, int P>
__attribute__((noinline)) void depthwise_rows(const DepthwiseArgs& args, int64_t r) {
  constexpr int64_t kWide = S::kPanelVectors * S::kWidth, kPair = 2 * S::kWidth;
  const DepthwisePixels<P> pixels(args.a, r);
  const int64_t channels = args.a.tap_length;
  int64_t ch = 0;
  for (; ch + kWide <= channels; ch += kWide) depthwise_tile<S, P, S::kPanelVectors>(args, pixels, r, ch, kWide);
  if constexpr (S::kPanelVectors > 2)
    for (; ch + kPair <= channels; ch += kPair) depthwise_tile<S, P, 2>(args, pixels, r, ch, kPair);
  for (; ch < channels; ch += S::kWidth) depthwise_tile<S, P, 1>(args, pixels, r, ch, min_of(S::kWidth, channels - ch));
}

template <class S>
void conv_depthwise(const DepthwiseArgs& args, int64_t r0, int64_t r1) {
  int64_t r = r0;
  for (; r + kDepthwisePixels <= r1; r += kDepthwisePixels) depthwise_rows<S, kDepthwisePixels>(args, r);
  for (; r < r1; ++r) depthwise_rows<S, 1>(args, r);
}

}  // namespace
}  // namespace vit::kernels
