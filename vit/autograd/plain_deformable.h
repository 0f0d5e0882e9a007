// Plain definition of multi-scale deformable attention; see plain.h and deformable.h.
#pragma once

#include <array>
#include <cmath>
#include <vector>

#include "vit/autograd/plain.h"

namespace vit::plain {

/// The vector of a map [height, width, D] at (x, y) in cells, 0 being the centre of the first: bilinear, zeros outside.
template <class T>
Array<T> bilinear(const Array<T>& map, T x, T y) {
  Array<T> result = xt::zeros<T>({map.shape(2)});
  const auto height = static_cast<int64_t>(map.shape(0)), width = static_cast<int64_t>(map.shape(1));
  const auto left = static_cast<int64_t>(std::floor(x)), top = static_cast<int64_t>(std::floor(y));
  for (const int64_t row : {top, top + 1})
    for (const int64_t col : {left, left + 1}) {
      if (row < 0 || row >= height || col < 0 || col >= width) continue;
      const T share = (1 - std::abs(x - static_cast<T>(col))) * (1 - std::abs(y - static_cast<T>(row)));
      result += share * xt::view(map, row, col, xt::all());
    }
  return result;
}

/// value [B, M, H * D], reference [B or 1, T, L, 2 or 4], offsets [B, T, H * L * P * 2], weights [B, T, H * L * P] ->
/// [B, T, H * D]. The position is a share of the map, as Deformable DETR writes it.
template <class T>
Array<T> deformable_attention(const Array<T>& value, const Array<T>& reference, Array<T> offsets, Array<T> weights,
                              size_t heads, size_t points, const std::vector<std::array<int64_t, 2>>& maps) {
  const size_t batch = value.shape(0), dim = value.shape(2) / heads, queries = reference.shape(1);
  offsets.reshape({batch, queries, heads, maps.size(), points, size_t{2}});
  weights.reshape({batch, queries, heads, maps.size(), points});
  Array<T> y = xt::zeros<T>({batch, queries, heads * dim});
  for (size_t b = 0; b < batch; ++b) {
    const size_t rb = reference.shape(0) == 1 ? 0 : b;
    size_t first = 0;
    for (size_t l = 0; l < maps.size(); ++l) {
      const auto height = static_cast<size_t>(maps[l][0]), width = static_cast<size_t>(maps[l][1]);
      for (size_t h = 0; h < heads; ++h) {
        Array<T> map = xt::view(value, b, xt::range(first, first + height * width), xt::range(h * dim, (h + 1) * dim));
        map.reshape({height, width, dim});
        for (size_t t = 0; t < queries; ++t)
          for (size_t p = 0; p < points; ++p) {
            std::array<T, 2> place{};  // x, y as shares of the map
            const std::array<size_t, 2> extents{width, height};
            for (size_t i = 0; i < 2; ++i)
              place[i] = reference(rb, t, l, i) +
                         offsets(b, t, h, l, p, i) * (reference.shape(3) == 4
                                                          ? reference(rb, t, l, 2 + i) / (2 * static_cast<T>(points))
                                                          : 1 / static_cast<T>(extents[i]));
            const Array<T> sample =
                bilinear<T>(map, place[0] * static_cast<T>(width) - T(0.5), place[1] * static_cast<T>(height) - T(0.5));
            xt::view(y, b, t, xt::range(h * dim, (h + 1) * dim)) += weights(b, t, h, l, p) * sample;
          }
      }
      first += height * width;
    }
  }
  return y;
}

}  // namespace vit::plain
