// Exponentials and activations on registers, and the kernels that apply them to spans. Accuracy over all of f32
// (measured by activation_test): exp 2 ulp; gelu, silu and their kin 3e-7 * max(1, |x|).
#pragma once

#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

// Minimax polynomials (relative error, Lawson's algorithm) of degree 6: 2e-9, below the rounding of their own
// evaluation.

/// 2^x for x <= 0 (-inf gives 0), relative error 7.9e-8.
template <class S>
VITKIT_INLINE typename S::V exp2_nonpositive(typename S::V x) {
  using V = typename S::V;
  const auto split = S::split_nonpositive(x);
  V p(1.535336171e-4f);
  p = S::fma(p, split.r, V(1.339887448e-3f));
  p = S::fma(p, split.r, V(9.618437359e-3f));
  p = S::fma(p, split.r, V(5.550332471e-2f));
  p = S::fma(p, split.r, V(2.402264791e-1f));
  p = S::fma(p, split.r, V(6.931472029e-1f));
  p = S::fma(p, split.r, V(1.0f));
  return S::scale(p, split);
}

/// e^r for |r| <= ln 2 / 2.
template <class S>
VITKIT_INLINE typename S::V exp_polynomial(typename S::V r) {
  using V = typename S::V;
  V p(1.384258494e-3f);
  p = S::fma(p, r, V(8.374125422e-3f));
  p = S::fma(p, r, V(4.166802121e-2f));
  p = S::fma(p, r, V(1.66664317e-1f));
  p = S::fma(p, r, V(4.999999413e-1f));
  p = S::fma(p, r, V(1.0f));
  return S::fma(p, r, V(1.0f));
}

/// e^x for x <= 0, zero for -inf; below -87.3, where results are denormal, it may be zero already. ln 2 is subtracted
/// in two pieces, the first with trailing zeros (Cody & Waite), so that no digit of x is lost.
template <class S>
VITKIT_INLINE typename S::V exp_nonpositive(typename S::V x) {
  using V = typename S::V;
  const V clamped = S::max(V(S::kExpFloor), x);  // this order keeps a NaN
  const auto split = S::split_nonpositive(clamped * V(1.44269504f));
  V r = S::fma(split.n, V(-0.693359375f), clamped);
  r = S::fma(split.n, V(2.12194440e-4f), r);
  return S::scale(exp_polynomial<S>(r), split);
}

/// 1 / (1 + e^-x), from e^-|x| so that nothing overflows.
template <class S>
VITKIT_INLINE typename S::V sigmoid(typename S::V x) {
  using V = typename S::V;
  const V e = exp_nonpositive<S>(V(0.0f) - S::abs(x));
  return S::select_less(x, V(0.0f), e, V(1.0f)) / (V(1.0f) + e);
}

/// tanh x = (1 - e) / (1 + e) with e = e^-2|x|; near zero, where that cancels, the odd polynomial of Cephes' tanhf.
template <class S>
VITKIT_INLINE typename S::V tanh(typename S::V x) {
  using V = typename S::V;
  const V magnitude = S::abs(x);
  const V e = exp_nonpositive<S>(V(-2.0f) * magnitude);
  const V large = (V(1.0f) - e) / (V(1.0f) + e);
  const V z = x * x;
  V p(-5.70498872745e-3f);
  p = S::fma(p, z, V(2.06390887954e-2f));
  p = S::fma(p, z, V(-5.37397155531e-2f));
  p = S::fma(p, z, V(1.33314422036e-1f));
  p = S::fma(p, z, V(-3.33332819422e-1f));
  const V small = S::fma(p * z, x, x);
  return S::select_less(magnitude, V(0.625f), small, S::select_less(x, V(0.0f), V(0.0f) - large, large));
}

/// 1 - Phi(a), the tail of the normal distribution, for 0 <= a <= 10: 2^poly(a). The logarithm of the tail is so smooth
/// that degree 8 gives the tail within 2e-8, with no division and one power of two: half the work of erf by Abramowitz
/// & Stegun 7.1.26. The constant term is -1 exactly, so that small a keep their digits.
template <class S>
VITKIT_INLINE typename S::V gelu_tail(typename S::V a) {
  using V = typename S::V;
  V p(-1.866848398e-6f);
  p = S::fma(p, a, V(2.922601201e-5f));
  p = S::fma(p, a, V(-0.000144562645f));
  p = S::fma(p, a, V(-0.0002220783338f));
  p = S::fma(p, a, V(0.007155341958f));
  p = S::fma(p, a, V(-0.05254698593f));
  p = S::fma(p, a, V(-0.4591954968f));
  p = S::fma(p, a, V(-1.151106226f));
  p = S::fma(p, a, V(-1.0f));
  return exp2_nonpositive<S>(p);
}

/// x * Phi(x) = max(x, 0) - |x| * tail(|x|).
template <class S>
VITKIT_INLINE typename S::V gelu(typename S::V x) {
  using V = typename S::V;
  const V a = S::min(S::abs(x), V(10.0f));          // the tail is 1e-30 there, and an infinity must not meet a zero
  return S::max(V(0.0f), x) - a * gelu_tail<S>(a);  // the order in max keeps a NaN
}

/// The tanh approximation (Hendrycks & Gimpel 2016), written as x * sigmoid(2 u): the same function, without
/// cancellation.
template <class S>
VITKIT_INLINE typename S::V gelu_tanh(typename S::V x) {
  using V = typename S::V;
  const V inner = x * S::fma(x * x, V(2.0f * 0.79788456f * 0.044715f), V(2.0f * 0.79788456f));
  return x * sigmoid<S>(inner);
}

template <class S, Activation kKind>
VITKIT_INLINE typename S::V activate(typename S::V x) {
  using V = typename S::V;
  if constexpr (kKind == Activation::relu) return S::max(V(0.0f), x);  // this order keeps a NaN
  if constexpr (kKind == Activation::gelu) return gelu<S>(x);
  if constexpr (kKind == Activation::gelu_tanh) return gelu_tanh<S>(x);
  if constexpr (kKind == Activation::quick_gelu) return x * sigmoid<S>(x * V(1.702f));
  if constexpr (kKind == Activation::silu) return x * sigmoid<S>(x);
  if constexpr (kKind == Activation::sigmoid) return sigmoid<S>(x);
  if constexpr (kKind == Activation::tanh) return tanh<S>(x);
  if constexpr (kKind == Activation::hard_sigmoid)
    return S::min(V(1.0f), S::max(V(0.0f), S::fma(x, V(1.0f / 6.0f), V(0.5f))));
  return x;
}

/// Calls body.template operator()<kind>() with the kind as a constant.
template <class Body>
VITKIT_INLINE void with_activation(Activation kind, const Body& body) {
  switch (kind) {
    case Activation::none:
      return body.template operator()<Activation::none>();
    case Activation::relu:
      return body.template operator()<Activation::relu>();
    case Activation::gelu:
      return body.template operator()<Activation::gelu>();
    case Activation::gelu_tanh:
      return body.template operator()<Activation::gelu_tanh>();
    case Activation::quick_gelu:
      return body.template operator()<Activation::quick_gelu>();
    case Activation::silu:
      return body.template operator()<Activation::silu>();
    case Activation::sigmoid:
      return body.template operator()<Activation::sigmoid>();
    case Activation::tanh:
      return body.template operator()<Activation::tanh>();
    case Activation::hard_sigmoid:
      return body.template operator()<Activation::hard_sigmoid>();
  }
}

template <class S>
void activation(float* y, const float* x, int64_t count, Activation kind) {
  with_activation(kind, [&]<Activation kKind>() {
    int64_t i = 0;
    for (; i + S::kWidth <= count; i += S::kWidth) S::store(y + i, activate<S, kKind>(S::load(x + i)));
    if (i < count) S::store_tail(y + i, activate<S, kKind>(S::load_tail(x + i, count - i)), count - i);
  });
}

template <class S>
void gated_activation(float* y, int64_t y_stride, const float* gate, const float* value, int64_t in_stride,
                      int64_t rows, int64_t cols, Activation kind) {
  with_activation(kind, [&]<Activation kKind>() {
    for (int64_t r = 0; r < rows; ++r) {
      float* y_r = y + r * y_stride;
      const float *gate_r = gate + r * in_stride, *value_r = value + r * in_stride;
      for (int64_t i = 0; i < cols; i += S::kWidth) {
        const int64_t rest = cols - i;
        const auto v = load_some<S>(value_r + i, rest) * activate<S, kKind>(load_some<S>(gate_r + i, rest));
        store_some<S>(y_r + i, v, rest);
      }
    }
  });
}

}  // namespace
}  // namespace vit::kernels
