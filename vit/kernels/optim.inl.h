// The optimiser's kernels: bound by memory, one pass over parameters, moments and gradients.
#pragma once

#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

template <class S>
void adamw(float* p, float* m, float* v, const float* g, int64_t count, const AdamWStep& step) {
  using V = typename S::V;
  const V keep_1(static_cast<float>(step.beta1)), take_1(static_cast<float>(1.0 - step.beta1));
  const V keep_2(static_cast<float>(step.beta2)), take_2(static_cast<float>(1.0 - step.beta2));
  const V decay(-step.lr_times_decay), size(-step.step_size), correction(step.inv_sqrt_correction2), eps(step.eps);
  const V grad_scale(step.grad_scale);
  for (int64_t i = 0; i < count; i += S::kWidth) {
    const int64_t rest = count - i;
    const V g_i = load_some<S>(g + i, rest) * grad_scale, p_i = load_some<S>(p + i, rest);
    const V m_i = S::fma(keep_1, load_some<S>(m + i, rest), take_1 * g_i);
    const V v_i = S::fma(keep_2, load_some<S>(v + i, rest), take_2 * g_i * g_i);
    const V divisor = S::fma(S::sqrt(v_i), correction, eps);
    store_some<S>(m + i, m_i, rest);
    store_some<S>(v + i, v_i, rest);
    store_some<S>(p + i, S::fma(size, m_i / divisor, S::fma(decay, p_i, p_i)), rest);
  }
}

/// Sixteen chains of doubles, which compilers turn into vectors; the same order, and so the same bits, on every set.
template <class S>
double sum_of_squares(const float* x, int64_t count) {
  constexpr int kChains = 16;
  double sum[kChains] = {};
  int64_t i = 0;
  for (; i + kChains <= count; i += kChains)
    for (int j = 0; j < kChains; ++j) sum[j] += static_cast<double>(x[i + j]) * static_cast<double>(x[i + j]);
  for (int j = 0; i < count; ++i, ++j) sum[j] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double total = 0.0;
  for (int j = 0; j < kChains; ++j) total += sum[j];
  return total;
}

}  // namespace
}  // namespace vit::kernels
