// Plain definitions of the ops that move, join and reduce tokens; see plain.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>
#include <xtensor/xbuilder.hpp>
#include <xtensor/xmanipulation.hpp>
#include <xtensor/xstrided_view.hpp>

#include "vit/autograd/plain.h"

namespace vit::plain {

/// Entries [begin, end) of one axis.
template <class T>
Array<T> slice(const Array<T>& x, size_t axis, size_t begin, size_t end) {
  xt::xstrided_slice_vector parts(x.dimension(), xt::all());
  parts[axis] = xt::range(static_cast<std::ptrdiff_t>(begin), static_cast<std::ptrdiff_t>(end));
  return xt::strided_view(x, parts);
}

/// a, then b, along one axis.
template <class T>
Array<T> concat(const Array<T>& a, const Array<T>& b, size_t axis) {
  return xt::concatenate(xt::xtuple(a, b), axis);
}

/// x [1, ...] repeated to [batch, ...]; x of that batch already is itself.
template <class T>
Array<T> for_batch(const Array<T>& x, size_t batch) {
  if (x.shape(0) == batch) return x;
  return xt::repeat(x, batch, 0);
}

/// prefix [1, P, C] in front of x [B, N, C] + pos [1, N, C] -> [B, P + N, C]
template <class T>
Array<T> join_tokens(const Array<T>& prefix, const Array<T>& x, const Array<T>& pos) {
  return concat<T>(for_batch<T>(prefix, x.shape(0)), Array<T>(x + pos), 1);
}

/// Mean over tokens first..N-1 of x [B, N, C] -> [B, C]
template <class T>
Array<T> mean_tokens(const Array<T>& x, size_t first) {
  const Array<T> kept = slice<T>(x, 1, first, x.shape(1));
  return xt::mean(kept, {1});
}

/// Maximum over tokens first..N-1 of x [B, N, C] -> [B, C]
template <class T>
Array<T> max_tokens(const Array<T>& x, size_t first) {
  const Array<T> kept = slice<T>(x, 1, first, x.shape(1));
  return xt::amax(kept, {1});
}

/// Rows of a table [V, C] by number -> [count, C]
template <class T>
Array<T> embedding(const Array<T>& table, const std::vector<int64_t>& indices) {
  Array<T> y = xt::zeros<T>({indices.size(), table.shape(1)});
  for (size_t i = 0; i < indices.size(); ++i) xt::view(y, i) = xt::view(table, static_cast<size_t>(indices[i]));
  return y;
}

/// [B, c, ...] -> [B, ..., c]: maps and convolution weights with the channels last.
template <class T>
Array<T> channels_last(const Array<T>& x) {
  return xt::transpose(x, {0, 2, 3, 1});
}

}  // namespace vit::plain
