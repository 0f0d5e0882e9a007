// Derivatives of the activations on registers, and the kernels that apply them to spans. Accuracy over all of f32
// (measured by activation_grad_test): 3e-7 * max(1, |x|) of the derivative.
#pragma once

#include "vit/kernels/activation.inl.h"
#include "vit/kernels/elementwise.inl.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

/// s = sigmoid(x) and its slope s (1 - s), from e^-|x| so that neither cancels.
template <class V>
struct SigmoidSlope {
  V value, slope;
};
template <class S>
VITKIT_INLINE SigmoidSlope<typename S::V> sigmoid_slope(typename S::V x) {
  using V = typename S::V;
  const V e = exp_nonpositive<S>(V(0.0f) - S::abs(x));
  const V inverse = V(1.0f) / (V(1.0f) + e);
  return {S::select_less(x, V(0.0f), e, V(1.0f)) * inverse, e * inverse * inverse};
}

/// x held within [-limit, limit], where the derivatives below have reached their limits: an infinity must not meet a
/// zero. The orders keep a NaN.
template <class S>
VITKIT_INLINE typename S::V bounded(typename S::V x, float limit) {
  using V = typename S::V;
  return S::max(V(-limit), S::min(V(limit), x));
}

/// Phi(x) + x phi(x). With a = |x| and the tail 1 - Phi(a) of gelu(): t = tail(a) - a phi(a) for x < 0, else 1 - t.
template <class S>
VITKIT_INLINE typename S::V gelu_derivative(typename S::V x) {
  using V = typename S::V;
  const V a = S::min(V(10.0f), S::abs(x));  // this order keeps a NaN
  const V density = V(0.398942280f) * exp2_nonpositive<S>(a * a * V(-0.721347520f));
  const V t = gelu_tail<S>(a) - a * density;
  return S::select_less(x, V(0.0f), t, V(1.0f) - t);
}

template <class S>
VITKIT_INLINE typename S::V gelu_tanh_derivative(typename S::V x) {
  using V = typename S::V;
  constexpr float kLinear = 2.0f * 0.79788456f, kCubic = kLinear * 0.044715f;
  const V b = bounded<S>(x, 12.0f), square = b * b;
  const auto s = sigmoid_slope<S>(b * S::fma(square, V(kCubic), V(kLinear)));
  return S::fma(b * s.slope, S::fma(square, V(3.0f * kCubic), V(kLinear)), s.value);
}

/// Of x * sigmoid(factor * x).
template <class S>
VITKIT_INLINE typename S::V swish_derivative(typename S::V x, float factor) {
  using V = typename S::V;
  const V u = bounded<S>(x * V(factor), 110.0f);
  const auto s = sigmoid_slope<S>(u);
  return S::fma(u, s.slope, s.value);
}

/// f'(x). At the corners of relu and hard_sigmoid it is zero, as torch has it.
template <class S, Activation kKind>
VITKIT_INLINE typename S::V derivative(typename S::V x) {
  using V = typename S::V;
  if constexpr (kKind == Activation::relu)
    return S::select_less(V(0.0f), x, V(1.0f), S::select_less(x, V(0.0f), V(0.0f), x));  // zero or a NaN is itself
  if constexpr (kKind == Activation::gelu) return gelu_derivative<S>(x);
  if constexpr (kKind == Activation::gelu_tanh) return gelu_tanh_derivative<S>(x);
  if constexpr (kKind == Activation::quick_gelu) return swish_derivative<S>(x, 1.702f);
  if constexpr (kKind == Activation::silu) return swish_derivative<S>(x, 1.0f);
  if constexpr (kKind == Activation::sigmoid) return sigmoid_slope<S>(x).slope;
  if constexpr (kKind == Activation::tanh) return V(4.0f) * sigmoid_slope<S>(V(2.0f) * x).slope;
  if constexpr (kKind == Activation::hard_sigmoid)  // beyond the corner below zero lie also NaNs, which are kept
    return S::select_less(V(-3.0f), x, S::select_less(x, V(3.0f), V(1.0f / 6.0f), V(0.0f)),
                          S::select_less(x, V(0.0f), V(0.0f), x));
  return V(1.0f);
}

template <class S>
void activation_grad(float* d_x, const float* d_y, const float* x, int64_t count, Activation kind) {
  with_activation(kind, [&]<Activation kKind>() {
    zip<S>(d_x, d_y, x, count, [](auto d, auto v) { return d * derivative<S, kKind>(v); });
  });
}

template <class S>
void gated_activation_grad(float* d_gate, float* d_value, int64_t d_in_stride, const float* d_y, int64_t d_y_stride,
                           const float* gate, const float* value, int64_t in_stride, int64_t rows, int64_t cols,
                           Activation kind) {
  with_activation(kind, [&]<Activation kKind>() {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < cols; i += S::kWidth) {
        const int64_t rest = cols - i;
        const auto d = load_some<S>(d_y + r * d_y_stride + i, rest);
        const auto g = load_some<S>(gate + r * in_stride + i, rest);
        const auto v = load_some<S>(value + r * in_stride + i, rest);
        store_some<S>(d_gate + r * d_in_stride + i, d * v * derivative<S, kKind>(g), rest);
        store_some<S>(d_value + r * d_in_stride + i, d * activate<S, kKind>(g), rest);
      }
  });
}

}  // namespace
}  // namespace vit::kernels
