// Plain definitions of the ops on maps and position tables; see plain.h.
#pragma once

#include <algorithm>
#include <cmath>

#include "vit/autograd/plain.h"

namespace vit::plain {

/// Patches of images [B, c, height, width] projected by weight [F, c, patch_h, patch_w]: the strided convolution
/// without overlap, rows and columns that fill no patch left out -> [B, tokens, F].
template <class T>
Array<T> patch_embed(const Array<T>& images, const Array<T>& weight, const Array<T>& bias) {
  const size_t patch_h = weight.shape(2), patch_w = weight.shape(3), outputs = weight.shape(0);
  const size_t grid_h = images.shape(2) / patch_h, grid_w = images.shape(3) / patch_w;
  Array<T> y = xt::zeros<T>({images.shape(0), grid_h * grid_w, outputs});
  for (size_t b = 0; b < images.shape(0); ++b) {
    for (size_t token = 0; token < grid_h * grid_w; ++token) {
      const size_t top = token / grid_w * patch_h, left = token % grid_w * patch_w;
      const Array<T> patch =
          xt::view(images, b, xt::all(), xt::range(top, top + patch_h), xt::range(left, left + patch_w));
      const Array<T> products = weight * patch;
      const Array<T> sums = xt::sum(products, {1, 2, 3});
      xt::view(y, b, token) = sums + bias;
    }
  }
  return y;
}

/// conv2d of each map of a batch: x [B, height, width, c], weight [F, kernel_h, kernel_w, c] -> [B, h', w', F].
template <class T>
Array<T> conv2d_batch(const Array<T>& x, const Array<T>& weight, const Array<T>& bias, size_t stride, size_t padding,
                      size_t dilation) {
  Array<T> y;
  for (size_t b = 0; b < x.shape(0); ++b) {
    const Array<T> map = conv2d<T>(Array<T>(xt::view(x, b)), weight, bias, stride, padding, dilation);
    if (b == 0) y = xt::zeros<T>({x.shape(0), map.shape(0), map.shape(1), map.shape(2)});
    xt::view(y, b) = map;
  }
  return y;
}

/// Normalises each channel of x [M, C] with statistics [C] that are given.
template <class T>
Array<T> batch_norm_with(const Array<T>& x, const Array<T>& weight, const Array<T>& bias, const Array<T>& mean,
                         const Array<T>& variance, T eps) {
  return (x - mean) / xt::sqrt(variance + eps) * weight + bias;
}

/// Normalises each channel of x [M, C] over its M values.
template <class T>
Array<T> batch_norm(const Array<T>& x, const Array<T>& weight, const Array<T>& bias, T eps) {
  const Array<T> mean = xt::mean(x, {0});
  const Array<T> centred = x - mean;
  const Array<T> variance = xt::mean(xt::square(centred), {0});
  return batch_norm_with<T>(x, weight, bias, mean, variance, eps);
}

/// Normalises each group of neighbouring channels of each sample of x [B, N, C].
template <class T>
Array<T> group_norm(const Array<T>& x, const Array<T>& weight, const Array<T>& bias, size_t groups, T eps) {
  const size_t width = x.shape(2) / groups;
  Array<T> y = x;
  for (size_t b = 0; b < x.shape(0); ++b) {
    for (size_t g = 0; g < groups; ++g) {
      const Array<T> group = xt::view(x, b, xt::all(), xt::range(g * width, (g + 1) * width));
      const T mean = xt::mean(group)();
      const Array<T> centred = group - mean;
      const T variance = xt::mean(xt::square(centred))();
      xt::view(y, b, xt::all(), xt::range(g * width, (g + 1) * width)) = centred / std::sqrt(variance + eps);
    }
  }
  return y * weight + bias;
}

/// Keys' cubic convolution kernel (1981) with parameter a.
template <class T>
T cubic(T x, T a) {
  x = std::abs(x);
  if (x >= 2) return 0;
  if (x >= 1) return a * (x * x * x - 5 * x * x + 8 * x - 4);
  return (a + 2) * x * x * x - (a + 3) * x * x + 1;
}

/// The matrix [to, from] of bicubic resampling along one axis, align_corners false.
template <class T>
Array<T> resampling(size_t from, size_t to, bool antialias) {
  const T scale = static_cast<T>(from) / static_cast<T>(to), stretch = std::max<T>(scale, 1);
  Array<T> matrix = xt::zeros<T>({to, from});
  for (size_t i = 0; i < to; ++i) {
    const T centre = scale * (static_cast<T>(i) + T(0.5)) - T(0.5);
    if (antialias) {  // the kernel is widened when shrinking, cut at the border and normalised
      T sum = 0;
      for (size_t j = 0; j < from; ++j) sum += matrix(i, j) = cubic<T>((static_cast<T>(j) - centre) / stretch, T(-0.5));
      for (size_t j = 0; j < from; ++j) matrix(i, j) /= sum;
    } else {  // positions outside repeat the border
      for (T j = std::floor(centre) - 1; j <= std::floor(centre) + 2; ++j)
        matrix(i, static_cast<size_t>(std::clamp<T>(j, 0, static_cast<T>(from - 1)))) += cubic<T>(centre - j, T(-0.75));
    }
  }
  return matrix;
}

/// A position table [1, P + from_h * from_w, C] on another grid, its first P rows kept.
template <class T>
Array<T> resample_grid(const Array<T>& table, size_t prefix, size_t from_h, size_t from_w, size_t to_h, size_t to_w,
                       bool antialias) {
  const size_t channels = table.shape(2);
  const Array<T> rows = resampling<T>(from_h, to_h, antialias), cols = resampling<T>(from_w, to_w, antialias);
  Array<T> y = xt::zeros<T>({size_t{1}, prefix + to_h * to_w, channels});
  xt::view(y, 0, xt::range(size_t{0}, prefix)) = xt::view(table, 0, xt::range(size_t{0}, prefix));
  for (size_t i = 0; i < to_h; ++i)
    for (size_t j = 0; j < to_w; ++j)
      for (size_t a = 0; a < from_h; ++a)
        for (size_t b = 0; b < from_w; ++b)
          for (size_t c = 0; c < channels; ++c)
            y(0, prefix + i * to_w + j, c) += rows(i, a) * cols(j, b) * table(0, prefix + a * from_w + b, c);
  return y;
}

}  // namespace vit::plain
