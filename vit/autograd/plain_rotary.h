// Plain definition of rotate_heads; see plain.h.
#pragma once

#include "vit/autograd/plain.h"

namespace vit::plain {

/// Heads [first, first + heads * dim) of x [B, N, *], dim = 2 * angles per token; sine and cosine [R, dim / 2] turn the
/// last R tokens.
template <class T>
Array<T> rotate_heads(Array<T> x, size_t first, size_t heads, const Array<T>& sine, const Array<T>& cosine) {
  const size_t pairs = sine.shape(1), unmoved = x.shape(1) - sine.shape(0);
  for (size_t b = 0; b < x.shape(0); ++b)
    for (size_t r = 0; r < sine.shape(0); ++r)
      for (size_t h = 0; h < heads; ++h)
        for (size_t i = 0; i < pairs; ++i) {
          T& even = x(b, unmoved + r, first + 2 * (h * pairs + i));
          T& odd = x(b, unmoved + r, first + 2 * (h * pairs + i) + 1);
          const T a = even;
          even = a * cosine(r, i) - odd * sine(r, i);
          odd = a * sine(r, i) + odd * cosine(r, i);
        }
  return x;
}

}  // namespace vit::plain
