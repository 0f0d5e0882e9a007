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

/// conv2d of each map of a batch, group by group: x [B, height, width, c], weight [F, kernel_h, kernel_w, c / groups],
/// bias [F] or one number -> [B, h', w', F].
template <class T>
Array<T> conv2d_batch(const Array<T>& x, const Array<T>& weight, const Array<T>& bias, size_t stride, size_t padding,
                      size_t dilation, size_t groups = 1) {
  const size_t inputs = x.shape(3) / groups, outputs = weight.shape(0) / groups;
  Array<T> y;
  for (size_t b = 0; b < x.shape(0); ++b) {
    for (size_t g = 0; g < groups; ++g) {
      const size_t first = g * outputs, last = first + outputs;
      const Array<T> part = xt::view(x, b, xt::all(), xt::all(), xt::range(g * inputs, (g + 1) * inputs));
      const Array<T> map = conv2d<T>(part, Array<T>(xt::view(weight, xt::range(first, last))),
                                     bias.dimension() == 1 ? Array<T>(xt::view(bias, xt::range(first, last))) : bias,
                                     stride, padding, dilation);
      if (b == 0 && g == 0) y = xt::zeros<T>({x.shape(0), map.shape(0), map.shape(1), weight.shape(0)});
      xt::view(y, b, xt::all(), xt::all(), xt::range(first, last)) = map;
    }
  }
  return y;
}

/// `value` around maps x [B, height, width, C]; negative extents cut.
template <class T>
Array<T> pad_map(const Array<T>& x, int top, int left, int bottom, int right, T value) {
  const int height = static_cast<int>(x.shape(1)), width = static_cast<int>(x.shape(2));
  Array<T> y = xt::zeros<T>(
      {x.shape(0), static_cast<size_t>(height + top + bottom), static_cast<size_t>(width + left + right), x.shape(3)});
  y.fill(value);
  for (size_t b = 0; b < x.shape(0); ++b)
    for (int i = std::max(0, -top); i < std::min(height, height + bottom); ++i)
      for (int j = std::max(0, -left); j < std::min(width, width + right); ++j)
        xt::view(y, b, i + top, j + left) = xt::view(x, b, i, j);
  return y;
}

/// How torch's pools cut maps into windows.
struct Pooling {
  int kernel = 2, stride = 2, padding = 0;
  bool ceil_mode = false, count_include_pad = true;

  int outputs(int extent) const {
    const int last = extent + 2 * padding - kernel;
    if (!ceil_mode) return last / stride + 1;
    const int count = (last + stride - 1) / stride + 1;
    return (count - 1) * stride >= extent + padding ? count - 1 : count;  // a window must start inside
  }
};

/// Calls visit(b, i, j, top, left, bottom, right) for every output (i, j) of maps x: the rows [top, bottom) and columns
/// [left, right) of its window, which may reach into the padding.
template <class T, class Visit>
void for_windows(const Array<T>& x, const Pooling& pool, const Visit& visit) {
  const int height = static_cast<int>(x.shape(1)), width = static_cast<int>(x.shape(2));
  for (size_t b = 0; b < x.shape(0); ++b)
    for (int i = 0; i < pool.outputs(height); ++i)
      for (int j = 0; j < pool.outputs(width); ++j) {
        const int top = i * pool.stride - pool.padding, left = j * pool.stride - pool.padding;
        visit(b, i, j, top, left, std::min(top + pool.kernel, height + pool.padding),
              std::min(left + pool.kernel, width + pool.padding));
      }
}

/// The part of a window that lies on the map x [B, height, width, C]: [rows, columns, C].
template <class T>
Array<T> inside(const Array<T>& x, size_t b, int top, int left, int bottom, int right) {
  return xt::view(x, b, xt::range(std::max(top, 0), std::min(bottom, static_cast<int>(x.shape(1)))),
                  xt::range(std::max(left, 0), std::min(right, static_cast<int>(x.shape(2)))));
}

template <class T>
Array<T> pooled_zeros(const Array<T>& x, const Pooling& pool) {
  return xt::zeros<T>({x.shape(0), static_cast<size_t>(pool.outputs(static_cast<int>(x.shape(1)))),
                       static_cast<size_t>(pool.outputs(static_cast<int>(x.shape(2)))), x.shape(3)});
}

template <class T>
Array<T> max_pool2d(const Array<T>& x, const Pooling& pool) {
  Array<T> y = pooled_zeros<T>(x, pool);
  for_windows<T>(x, pool, [&](size_t b, int i, int j, int top, int left, int bottom, int right) {
    const Array<T> best = xt::amax(inside<T>(x, b, top, left, bottom, right), {0, 1});
    xt::view(y, b, i, j) = best;
  });
  return y;
}

template <class T>
Array<T> avg_pool2d(const Array<T>& x, const Pooling& pool) {
  Array<T> y = pooled_zeros<T>(x, pool);
  for_windows<T>(x, pool, [&](size_t b, int i, int j, int top, int left, int bottom, int right) {
    const Array<T> window = inside<T>(x, b, top, left, bottom, right), sums = xt::sum(window, {0, 1});
    const T count = pool.count_include_pad ? static_cast<T>((bottom - top) * (right - left))
                                           : static_cast<T>(window.shape(0) * window.shape(1));
    xt::view(y, b, i, j) = sums / count;
  });
  return y;
}

/// Bilinear resampling of maps [B, height, width, C], align_corners false.
template <class T>
Array<T> resize_map(const Array<T>& x, size_t to_h, size_t to_w) {
  const auto axis = [](size_t from, size_t to) {
    Array<T> matrix = xt::zeros<T>({to, from});
    for (size_t i = 0; i < to; ++i) {
      const T at = std::max<T>(0, static_cast<T>(from) / static_cast<T>(to) * (static_cast<T>(i) + T(0.5)) - T(0.5));
      const size_t low = std::min(static_cast<size_t>(at), from - 1), high = std::min(low + 1, from - 1);
      matrix(i, low) += 1 - (at - static_cast<T>(low));
      matrix(i, high) += at - static_cast<T>(low);
    }
    return matrix;
  };
  const Array<T> rows = axis(x.shape(1), to_h), cols = axis(x.shape(2), to_w);
  Array<T> y = xt::zeros<T>({x.shape(0), to_h, to_w, x.shape(3)});
  for (size_t b = 0; b < x.shape(0); ++b)
    for (size_t i = 0; i < to_h; ++i)
      for (size_t j = 0; j < to_w; ++j)
        for (size_t p = 0; p < x.shape(1); ++p)
          for (size_t q = 0; q < x.shape(2); ++q)
            for (size_t c = 0; c < x.shape(3); ++c) y(b, i, j, c) += rows(i, p) * cols(j, q) * x(b, p, q, c);
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
