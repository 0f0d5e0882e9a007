// The plain definitions of the ops, in xtensor expressions: what each fused kernel must compute, readable beside the
// paper, and the oracle of values (and, in double, of gradients by finite differences). Templates on float and double;
// slow on purpose. Not a public header; tests include it.
//
// Functions take and return xt::xarray by value: an `auto` expression would refer to operands that are gone. Reductions
// are stored before they are broadcast: xtensor 0.24 steps wrongly through a lazy reduction inside a broadcast.
#pragma once

#include <cmath>
#include <limits>
#include <numbers>
#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xview.hpp>

#include "vit/kernels/kernels.h"

namespace vit::plain {

template <class T>
using Array = xt::xarray<T>;

/// A copy of `x` under another shape.
template <class T>
Array<T> reshaped(Array<T> x, const std::vector<size_t>& shape) {
  x.reshape(shape);
  return x;
}

/// a [M, K] b [K, N] -> [M, N]
template <class T>
Array<T> matmul(const Array<T>& a, const Array<T>& b) {
  const size_t m = a.shape(0), n = b.shape(1);
  Array<T> c = xt::zeros<T>({m, n});
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < n; ++j)
      c(i, j) = xt::sum(xt::row(a, static_cast<int>(i)) * xt::col(b, static_cast<int>(j)))();
  return c;
}

/// x Phi(x) and its relatives, elementwise.
template <class T>
Array<T> activate(const Array<T>& x, kernels::Activation kind) {
  using kernels::Activation;
  const auto sigmoid = [](const Array<T>& v) { return Array<T>(1 / (1 + xt::exp(-v))); };
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::relu:
      return xt::maximum(x, T(0));
    case Activation::gelu:
      return T(0.5) * x * (1 + xt::erf(x / std::numbers::sqrt2_v<T>));
    case Activation::gelu_tanh: {
      const T c = std::sqrt(T(2) / std::numbers::pi_v<T>);
      return T(0.5) * x * (1 + xt::tanh(c * (x + T(0.044715) * x * x * x)));
    }
    case Activation::quick_gelu:
      return x * sigmoid(T(1.702) * x);
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::tanh:
      return xt::tanh(x);
    case Activation::hard_sigmoid:
      return xt::clip(x / 6 + T(0.5), T(0), T(1));
  }
  return x;
}

/// [gate | value], x [M, 2F] -> f(gate) * value [M, F]
template <class T>
Array<T> gated_activation(const Array<T>& x, kernels::Activation kind) {
  const size_t width = x.shape(1) / 2;
  const Array<T> gate = xt::view(x, xt::all(), xt::range(size_t{0}, width));
  const Array<T> value = xt::view(x, xt::all(), xt::range(width, 2 * width));
  return activate<T>(gate, kind) * value;
}

/// residual + gamma * activation(x W^T + b): x [M, K], weight [N, K], the others [N] and [M, N], or empty (dimension 0
/// arrays of size 1 hold the neutral value).
template <class T>
Array<T> linear(const Array<T>& x, const Array<T>& weight, const Array<T>& bias, kernels::Activation kind,
                const Array<T>& gamma, const Array<T>& residual) {
  const Array<T> product = matmul<T>(x, Array<T>(xt::transpose(weight)));
  return residual + gamma * activate<T>(Array<T>(product + bias), kind);
}

/// Normalises the last axis of x [M, C].
template <class T>
Array<T> layer_norm(const Array<T>& x, const Array<T>& weight, const Array<T>& bias, T eps) {
  const Array<T> mean = xt::mean(x, {1}, xt::keep_dims);
  const Array<T> centred = x - mean;
  const Array<T> variance = xt::mean(xt::square(centred), {1}, xt::keep_dims);
  return centred / xt::sqrt(variance + eps) * weight + bias;
}

/// x / sqrt(mean(x^2) + eps) * weight over the last axis of x [M, C].
template <class T>
Array<T> rms_norm(const Array<T>& x, const Array<T>& weight, T eps) {
  const Array<T> square = xt::mean(xt::square(x), {1}, xt::keep_dims);
  return x / xt::sqrt(square + eps) * weight;
}

/// Softmax over the last axis of x [M, C].
template <class T>
Array<T> softmax(const Array<T>& x) {
  const Array<T> largest = xt::amax(x, {1}, xt::keep_dims);
  const Array<T> powers = xt::exp(x - largest);
  const Array<T> total = xt::sum(powers, {1}, xt::keep_dims);
  return powers / total;
}

/// softmax(scale q k^T + bias) of one head: q [Nq, D], k [Nk, D], bias [Nq, Nk] -> [Nq, Nk]
template <class T>
Array<T> attention_probs(const Array<T>& q, const Array<T>& k, const Array<T>& bias, T scale) {
  return softmax<T>(Array<T>(scale * matmul<T>(q, Array<T>(xt::transpose(k))) + bias));
}

/// One head of attention: v [Nk, D] -> [Nq, D]
template <class T>
Array<T> attention(const Array<T>& q, const Array<T>& k, const Array<T>& v, const Array<T>& bias, T scale) {
  return matmul<T>(attention_probs<T>(q, k, bias, scale), v);
}

/// Attention of all heads: q [B, Nq, H * D], k and v [B, Nk, H * D], bias [B or 1, H or 1, Nq or 1, Nk] ->
/// [B, Nq, H * D].
template <class T>
Array<T> multihead_attention(const Array<T>& q, const Array<T>& k, const Array<T>& v, const Array<T>& bias,
                             size_t heads, T scale) {
  const size_t dim = q.shape(2) / heads;
  Array<T> y = xt::zeros<T>({q.shape(0), q.shape(1), q.shape(2)});
  const auto head = [dim](const Array<T>& x, size_t b, size_t h) {
    return Array<T>(xt::view(x, b, xt::all(), xt::range(h * dim, (h + 1) * dim)));
  };
  for (size_t b = 0; b < q.shape(0); ++b) {
    for (size_t h = 0; h < heads; ++h) {
      const Array<T> added = xt::view(bias, bias.shape(0) == 1 ? 0 : b, bias.shape(1) == 1 ? 0 : h);
      xt::view(y, b, xt::all(), xt::range(h * dim, (h + 1) * dim)) =
          attention<T>(head(q, b, h), head(k, b, h), head(v, b, h), added, scale);
    }
  }
  return y;
}

/// Layer or rms norm of each of `heads` vectors in columns [first, first + heads * dim) of x [M, *].
template <class T>
Array<T> head_norm(Array<T> x, size_t first, size_t heads, const Array<T>& weight, const Array<T>& bias, T eps,
                   bool rms) {
  const size_t dim = weight.size();
  for (size_t h = 0; h < heads; ++h) {
    const size_t at = first + h * dim;
    const Array<T> head = xt::view(x, xt::all(), xt::range(at, at + dim));
    xt::view(x, xt::all(), xt::range(at, at + dim)) =
        rms ? rms_norm<T>(head, weight, eps) : layer_norm<T>(head, weight, bias, eps);
  }
  return x;
}

/// Convolution of one map x [height, width, c] with weight [F, kernel_h, kernel_w, c] and zero padding -> [h', w', F].
template <class T>
Array<T> conv2d(const Array<T>& x, const Array<T>& weight, const Array<T>& bias, size_t stride, size_t padding,
                size_t dilation) {
  const size_t height = x.shape(0), width = x.shape(1);
  Array<T> padded = xt::zeros<T>({height + 2 * padding, width + 2 * padding, x.shape(2)});
  xt::view(padded, xt::range(padding, padding + height), xt::range(padding, padding + width)) = x;
  const size_t kernel_h = weight.shape(1), kernel_w = weight.shape(2);
  const size_t out_h = (padded.shape(0) - dilation * (kernel_h - 1) - 1) / stride + 1;
  const size_t out_w = (padded.shape(1) - dilation * (kernel_w - 1) - 1) / stride + 1;
  Array<T> y = xt::zeros<T>({out_h, out_w, weight.shape(0)});
  for (size_t i = 0; i < out_h; ++i) {
    for (size_t j = 0; j < out_w; ++j) {
      const Array<T> window =
          xt::view(padded, xt::range(i * stride, i * stride + dilation * (kernel_h - 1) + 1, dilation),
                   xt::range(j * stride, j * stride + dilation * (kernel_w - 1) + 1, dilation));
      const Array<T> products = weight * window;
      const Array<T> sums = xt::sum(products, {1, 2, 3});
      xt::view(y, i, j) = sums + bias;
    }
  }
  return y;
}

}  // namespace vit::plain
