// What the kernels need from a vector unit, on top of xsimd 8.1: fused multiply-add on AVX-512 (xsimd falls back to a
// multiply and an add there), loads and stores of a row's rest, the largest lane, 2^n scaling and a small transpose.
// Intrinsics live here and nowhere else. Simd<Arch> works for every xsimd architecture; specialisations replace what an
// instruction set does better. NEON64 uses the general version.
//
// Included by isa.cpp only, which is compiled once per instruction set. Everything is in an unnamed namespace, and the
// build renames xsimd's namespace per set, so that no function compiled for one set can be linked into another's code.
#pragma once

#include <cstdint>
#include <xsimd/xsimd.hpp>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define VITKIT_INLINE __attribute__((always_inline)) inline

// Before a loop over registers: unrolled early. Left to itself GCC unrolls such loops after it has decided which arrays
// can live in registers, and accumulators travel through the stack before and after the loop that matters.
#if defined(__clang__)
#define VITKIT_UNROLL _Pragma("unroll")
#define VITKIT_NO_UNROLL _Pragma("nounroll")
#else
#define VITKIT_UNROLL _Pragma("GCC unroll 32")
#define VITKIT_NO_UNROLL _Pragma("GCC unroll 1")
#endif

namespace vit::kernels {
namespace {

constexpr int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
constexpr int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

inline constexpr float kInfinity = __builtin_huge_valf();

/// Fetches the cache line at p into the first-level cache, soon; it will be written.
VITKIT_INLINE void prefetch_l1_for_write(const void* p) { __builtin_prefetch(p, 1, 3); }

/// Fetches the cache line at p into the second-level cache; it will be read. p may point anywhere.
VITKIT_INLINE void prefetch_l2(const void* p) { __builtin_prefetch(p, 0, 2); }

/// Copies a 4 x 4 block, transposed. Strides in floats.
VITKIT_INLINE void transpose4x4(float* y, int64_t y_stride, const float* x, int64_t x_stride) {
#if defined(__SSE2__)
  __m128 a = _mm_loadu_ps(x), b = _mm_loadu_ps(x + x_stride);
  __m128 c = _mm_loadu_ps(x + 2 * x_stride), d = _mm_loadu_ps(x + 3 * x_stride);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(y, a);
  _mm_storeu_ps(y + y_stride, b);
  _mm_storeu_ps(y + 2 * y_stride, c);
  _mm_storeu_ps(y + 3 * y_stride, d);
#else
  for (int64_t i = 0; i < 4; ++i)
    for (int64_t j = 0; j < 4; ++j) y[j * y_stride + i] = x[i * x_stride + j];
#endif
}

/// The general version, for any architecture that xsimd knows.
template <class Arch>
struct SimdBase {
  using V = xsimd::batch<float, Arch>;
  using I = xsimd::batch<int32_t, Arch>;
  static constexpr int64_t kWidth = static_cast<int64_t>(V::size);
  // Vectors per packed panel and rows per register tile: accumulators + one row of the panel + one broadcast fit 16
  // registers.
  static constexpr int kPanelVectors = 2;
  static constexpr int kTileRows = 4;
  /// Below this e^x is zero by way of scale().
  static constexpr float kExpFloor = -88.1f;

  static VITKIT_INLINE V load(const float* p) { return V::load_unaligned(p); }
  static VITKIT_INLINE V load_aligned(const float* p) { return V::load_aligned(p); }
  static VITKIT_INLINE void store(float* p, V v) { v.store_unaligned(p); }
  static VITKIT_INLINE void store_aligned(float* p, V v) { v.store_aligned(p); }
  /// The first `count` < kWidth floats, then zeros; memory behind them is not touched.
  static VITKIT_INLINE V load_tail(const float* p, int64_t count) {
    alignas(64) float lanes[kWidth] = {};
    for (int64_t i = 0; i < count; ++i) lanes[i] = p[i];
    return V::load_aligned(lanes);
  }
  static VITKIT_INLINE void store_tail(float* p, V v, int64_t count) {
    alignas(64) float lanes[kWidth];
    v.store_aligned(lanes);
    for (int64_t i = 0; i < count; ++i) p[i] = lanes[i];
  }
  /// a * b + c, rounded once where the unit can (SSE2 rounds twice).
  static VITKIT_INLINE V fma(V a, V b, V c) { return xsimd::fma(a, b, c); }
  static VITKIT_INLINE V max(V a, V b) { return xsimd::max(a, b); }
  static VITKIT_INLINE V min(V a, V b) { return xsimd::min(a, b); }
  static VITKIT_INLINE V abs(V a) { return xsimd::abs(a); }
  static VITKIT_INLINE V sqrt(V a) { return xsimd::sqrt(a); }
  /// a < b ? x : y by lane; a NaN takes y.
  static VITKIT_INLINE V select_less(V a, V b, V x, V y) { return xsimd::select(a < b, x, y); }
  static VITKIT_INLINE float reduce_add(V v) { return xsimd::hadd(v); }
  static VITKIT_INLINE float reduce_max(V v) {
    alignas(64) float lanes[kWidth];
    v.store_aligned(lanes);
    float best = lanes[0];
    for (int64_t i = 1; i < kWidth; ++i) best = best > lanes[i] ? best : lanes[i];
    return best;
  }
  /// Copies a kTransposeBlock x kTransposeBlock block, transposed.
  static constexpr int64_t kTransposeBlock = 4;
  static VITKIT_INLINE void transpose_block(float* y, int64_t y_stride, const float* x, int64_t x_stride) {
    transpose4x4(y, y_stride, x, x_stride);
  }
  /// Splits x <= 0 into a whole part n and a rest r in [-0.5, 0.5]. Adding 1.5 * 2^23 rounds to nearest in the
  /// addition; the 127 more leave the biased exponent of 2^n in the sum's low bits, for scale().
  struct Split {
    V n, r, raw;
  };
  static VITKIT_INLINE Split split_nonpositive(V x) {
    const V magic(12582912.0f + 127.0f);
    const V clamped = xsimd::max(V(-127.0f), x);  // this order keeps a NaN
    const V raw = clamped + magic;
    const V n = raw - magic;
    return {n, clamped - n, raw};
  }
  /// p * 2^n of a split; n = -127 gives zero.
  static VITKIT_INLINE V scale(V p, const Split& split) {
    const I bits = xsimd::bitwise_cast<I>(split.raw) << 23;
    return p * xsimd::bitwise_cast<V>(bits);
  }
  /// p * 2^n for whole n in [-252, 254], in two steps: 2^n itself may be too large, or denormal, where p * 2^n is not.
  static VITKIT_INLINE V ldexp(V p, V n) {
    const I whole = xsimd::to_int(n), half = whole >> 1;
    const I first = (half + I(127)) << 23, second = (whole - half + I(127)) << 23;
    return p * xsimd::bitwise_cast<V>(first) * xsimd::bitwise_cast<V>(second);
  }
};

template <class Arch>
struct Simd : SimdBase<Arch> {};

#if defined(__AVX2__) && defined(__FMA__)
template <>
struct Simd<xsimd::fma3<xsimd::avx2>> : SimdBase<xsimd::fma3<xsimd::avx2>> {
  static constexpr int kTileRows = 6;

  static VITKIT_INLINE __m256i tail_mask(int64_t count) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane);
  }
  static VITKIT_INLINE V load_tail(const float* p, int64_t count) { return V(_mm256_maskload_ps(p, tail_mask(count))); }
  static VITKIT_INLINE void store_tail(float* p, V v, int64_t count) { _mm256_maskstore_ps(p, tail_mask(count), v); }
};
#endif

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__)
template <>
struct Simd<xsimd::avx512bw> : SimdBase<xsimd::avx512bw> {
  static constexpr int kPanelVectors = 4;
  static constexpr int kTileRows = 6;
  static constexpr float kExpFloor = -200.0f;

  static VITKIT_INLINE __mmask16 tail_mask(int64_t count) { return static_cast<__mmask16>((1u << count) - 1u); }
  static VITKIT_INLINE V load_tail(const float* p, int64_t count) {
    return V(_mm512_maskz_loadu_ps(tail_mask(count), p));
  }
  static VITKIT_INLINE void store_tail(float* p, V v, int64_t count) { _mm512_mask_storeu_ps(p, tail_mask(count), v); }
  static VITKIT_INLINE V fma(V a, V b, V c) { return V(_mm512_fmadd_ps(a, b, c)); }
  static VITKIT_INLINE V max(V a, V b) { return V(_mm512_max_ps(a, b)); }
  static VITKIT_INLINE V min(V a, V b) { return V(_mm512_min_ps(a, b)); }
  static VITKIT_INLINE V abs(V a) { return V(_mm512_abs_ps(a)); }
  static VITKIT_INLINE V sqrt(V a) { return V(_mm512_sqrt_ps(a)); }
  static VITKIT_INLINE V select_less(V a, V b, V x, V y) {
    return V(_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x));
  }
  static VITKIT_INLINE float reduce_add(V v) { return _mm512_reduce_add_ps(v); }
  static VITKIT_INLINE float reduce_max(V v) { return _mm512_reduce_max_ps(v); }
  // Each pass doubles the side of the squares that are in place: pairs within 128 bits, then the 128-bit quarters.
  static constexpr int64_t kTransposeBlock = 16;
  static VITKIT_INLINE void transpose_block(float* y, int64_t y_stride, const float* x, int64_t x_stride) {
    __m512 a[16], b[16];
    VITKIT_UNROLL
    for (int i = 0; i < 16; ++i) a[i] = _mm512_loadu_ps(x + i * x_stride);
    VITKIT_UNROLL
    for (int i = 0; i < 16; i += 2) {
      b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
      b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
    VITKIT_UNROLL
    for (int i = 0; i < 16; i += 4) {
      VITKIT_UNROLL
      for (int j = 0; j < 2; ++j) {
        const __m512d low = _mm512_castps_pd(b[i + j]), high = _mm512_castps_pd(b[i + j + 2]);
        a[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
        a[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
      }
    }
    VITKIT_UNROLL
    for (int i = 0; i < 16; i += 8) {
      VITKIT_UNROLL
      for (int j = 0; j < 4; ++j) {
        b[i + j] = _mm512_shuffle_f32x4(a[i + j], a[i + j + 4], 0x88);
        b[i + j + 4] = _mm512_shuffle_f32x4(a[i + j], a[i + j + 4], 0xdd);
      }
    }
    VITKIT_UNROLL
    for (int j = 0; j < 8; ++j) {
      _mm512_storeu_ps(y + j * y_stride, _mm512_shuffle_f32x4(b[j], b[j + 8], 0x88));
      _mm512_storeu_ps(y + (j + 8) * y_stride, _mm512_shuffle_f32x4(b[j], b[j + 8], 0xdd));
    }
  }
  // scalef multiplies by 2^n in one instruction and turns 2^-inf into zero whatever the rest has become.
  struct Split {
    V n, r;
  };
  static VITKIT_INLINE Split split_nonpositive(V x) {
    const V n(_mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    return {n, x - n};
  }
  static VITKIT_INLINE V scale(V p, const Split& split) { return V(_mm512_scalef_ps(p, split.n)); }
  static VITKIT_INLINE V ldexp(V p, V n) { return V(_mm512_scalef_ps(p, n)); }
};
#endif

/// load/store of `count` floats, where a vector may be whole or the row's rest.
template <class S>
VITKIT_INLINE typename S::V load_some(const float* p, int64_t count) {
  return count >= S::kWidth ? S::load(p) : S::load_tail(p, count);
}
template <class S>
VITKIT_INLINE void store_some(float* p, typename S::V v, int64_t count) {
  if (count >= S::kWidth)
    S::store(p, v);
  else
    S::store_tail(p, v, count);
}

}  // namespace
}  // namespace vit::kernels
