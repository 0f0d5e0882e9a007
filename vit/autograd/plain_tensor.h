// Plain definitions of the ops on tensors of any rank; see plain.h. Broadcasting functions of two tensors are xtensor's
// own operators.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>
#include <xtensor/xbroadcast.hpp>
#include <xtensor/xmanipulation.hpp>
#include <xtensor/xsort.hpp>
#include <xtensor/xstrided_view.hpp>

#include "vit/autograd/plain.h"
#include "vit/autograd/plain_tokens.h"

namespace vit::plain {

/// The last two axes exchanged.
template <class T>
Array<T> matrix_transposed(const Array<T>& x) {
  std::vector<size_t> order(x.dimension());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::swap(order[order.size() - 1], order[order.size() - 2]);
  return xt::transpose(x, order);
}

/// a [..., M, K] b [..., K, N] -> [..., M, N]: the sum over k of a's columns times b's rows, everything broadcast.
template <class T>
Array<T> batched_matmul(const Array<T>& a, const Array<T>& b) {
  Array<T> sum = T(0);
  for (size_t k = 0; k < b.shape(b.dimension() - 2); ++k) {
    const Array<T> column = slice<T>(a, a.dimension() - 1, k, k + 1), row = slice<T>(b, b.dimension() - 2, k, k + 1);
    sum = Array<T>(sum + column * row);
  }
  return sum;
}

/// Softmax along one axis.
template <class T>
Array<T> softmax_along(const Array<T>& x, size_t axis) {
  const Array<T> largest = xt::amax(x, {axis}, xt::keep_dims);
  const Array<T> powers = xt::exp(x - largest);
  const Array<T> total = xt::sum(powers, {axis}, xt::keep_dims);
  return powers / total;
}

/// x / max(|x|, eps) along one axis.
template <class T>
Array<T> l2_normalize(const Array<T>& x, size_t axis, T eps) {
  const Array<T> squares = xt::sum(xt::square(x), {axis}, xt::keep_dims);
  const Array<T> lengths = xt::maximum(xt::sqrt(squares), eps);
  return x / lengths;
}

/// elu(x) + 1
template <class T>
Array<T> elu_plus_one(const Array<T>& x) {
  return xt::where(x < T(0), xt::exp(x), x + T(1));
}

/// Columns of tokens [B, N, *] as heads [B, H, N, D].
template <class T>
Array<T> split_heads(const Array<T>& x, size_t first, size_t heads, size_t dim) {
  const Array<T> columns = slice<T>(x, 2, first, first + heads * dim);
  return xt::transpose(reshaped<T>(columns, {x.shape(0), x.shape(1), heads, dim}), {0, 2, 1, 3});
}

/// [B, H, N, D] -> [B, N, H * D]
template <class T>
Array<T> merge_heads(const Array<T>& x) {
  const Array<T> tokens = xt::transpose(x, {0, 2, 1, 3});
  return reshaped<T>(tokens, {x.shape(0), x.shape(2), x.shape(1) * x.shape(3)});
}

/// Row index[b][i] of sample b, or the filler at -1: x [B, N, C], filler [C] -> [B, M, C]
template <class T>
Array<T> gather_tokens(const Array<T>& x, const std::vector<std::vector<int64_t>>& index, const Array<T>& filler) {
  Array<T> y = xt::zeros<T>({x.shape(0), index[0].size(), x.shape(2)});
  for (size_t b = 0; b < index.size(); ++b)
    for (size_t i = 0; i < index[b].size(); ++i) {
      const int64_t from = index[b][i];
      if (from < 0)
        xt::view(y, b, i) = filler;
      else
        xt::view(y, b, i) = xt::view(x, b, static_cast<size_t>(from));
    }
  return y;
}

/// The sum of the rows i with index[b][i] == n, for each n: x [B, M, C] -> [B, N, C]
template <class T>
Array<T> scatter_tokens(const Array<T>& x, const std::vector<std::vector<int64_t>>& index, size_t tokens) {
  Array<T> y = xt::zeros<T>({x.shape(0), tokens, x.shape(2)});
  for (size_t b = 0; b < index.size(); ++b)
    for (size_t i = 0; i < index[b].size(); ++i)
      if (index[b][i] >= 0) xt::view(y, b, static_cast<size_t>(index[b][i])) += xt::view(x, b, i);
  return y;
}

}  // namespace vit::plain
