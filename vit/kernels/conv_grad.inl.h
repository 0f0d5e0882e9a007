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

template <class S>
void conv_depthwise_grad(float* d_weight, float* d_images, const DepthwiseArgs& args, int64_t r0, int64_t r1) {
  const int64_t channels = args.a.tap_length;
  for_taps(args.a, r0, r1, [&](int64_t r, int64_t tap, int64_t start) {
    if (start == kZeroTap) return;
    const float *d_c = args.c + r * args.c_stride, *x = args.a.images + start;
    for (int64_t i = 0; i < channels; i += S::kWidth) {
      const int64_t rest = channels - i, at = tap * channels + i;
      const auto d = load_some<S>(d_c + i, rest);
      if (d_weight)
        store_some<S>(d_weight + at, S::fma(d, load_some<S>(x + i, rest), load_some<S>(d_weight + at, rest)), rest);
      if (d_images) {
        float* d_x = d_images + start + i;
        store_some<S>(d_x, S::fma(d, load_some<S>(args.weight + at, rest), load_some<S>(d_x, rest)), rest);
      }
    }
  });
}

}  // namespace
}  // namespace vit::kernels
