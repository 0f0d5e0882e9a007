// Plain definition of attention between channels; see plain.h.
#pragma once

#include <algorithm>
#include <cmath>

#include "vit/autograd/plain.h"

namespace vit::plain {

/// out_n = softmax(scale * temperature_h * q^T k) v_n with q^T k [D, D] summed over the tokens; `normalize` divides
/// each channel of q and k by its norm over the tokens. q, k, v [B, N, H * D], temperature [H].
template <class T>
Array<T> channel_attention(const Array<T>& q, const Array<T>& k, const Array<T>& v, const Array<T>& temperature,
                           T scale, bool normalize) {
  const size_t heads = temperature.size(), tokens = q.shape(1), width = q.shape(2) / heads;
  const auto norm = [&](const Array<T>& x, size_t b, size_t channel) {
    T sum = 0;
    for (size_t n = 0; n < tokens; ++n) sum += x(b, n, channel) * x(b, n, channel);
    return normalize ? std::max(std::sqrt(sum), T(1e-12)) : T(1);
  };
  Array<T> y = xt::zeros<T>(q.shape());
  for (size_t b = 0; b < q.shape(0); ++b)
    for (size_t h = 0; h < heads; ++h)
      for (size_t i = h * width; i < (h + 1) * width; ++i) {
        Array<T> scores = xt::zeros<T>({width});
        for (size_t j = 0; j < width; ++j) {
          for (size_t n = 0; n < tokens; ++n) scores(j) += q(b, n, i) * k(b, n, h * width + j);
          scores(j) *= scale * temperature(h) / (norm(q, b, i) * norm(k, b, h * width + j));
        }
        const Array<T> powers = xt::exp(scores - xt::amax(scores)());
        for (size_t n = 0; n < tokens; ++n)
          for (size_t j = 0; j < width; ++j) y(b, n, i) += powers(j) / xt::sum(powers)() * v(b, n, h * width + j);
      }
  return y;
}

}  // namespace vit::plain
