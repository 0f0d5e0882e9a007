#include "vit/attention/map_shares.h"

namespace vit {

Tensor adaptive_average(int64_t length, int64_t pieces) {
  const Tensor shares = Tensor::zeros({pieces, length});
  for (int64_t piece = 0; piece < pieces; ++piece) {
    const int64_t begin = piece * length / pieces, end = ((piece + 1) * length + pieces - 1) / pieces;
    for (int64_t i = begin; i < end; ++i) shares.f32()[piece * length + i] = 1.0f / static_cast<float>(end - begin);
  }
  return shares;
}

Tensor map_shares(const Tensor& rows, const Tensor& cols, int64_t prefix) {
  const int64_t height = rows.size(1), width = cols.size(1);
  const Tensor shares = Tensor::zeros({rows.size(0) * cols.size(0), prefix + height * width});
  float* at = shares.f32();
  for (int64_t i = 0; i < rows.size(0); ++i)
    for (int64_t j = 0; j < cols.size(0); ++j) {
      at += prefix;
      for (int64_t y = 0; y < height; ++y)
        for (int64_t x = 0; x < width; ++x) *at++ = rows.f32()[i * height + y] * cols.f32()[j * width + x];
    }
  return shares;
}

}  // namespace vit
