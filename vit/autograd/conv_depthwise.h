// The depthwise form of conv2d, with its gradient. Internal to vit/autograd.
#pragma once

#include <memory>
#include <vector>

#include "vit/autograd/ops.h"
#include "vit/kernels/conv_offsets.h"

namespace vit {

/// y[r, c] = sum over taps of x[r, tap, c] * weight[c, tap]: every channel by itself.
struct DepthwiseConvolution {
  Var x, weight, bias;
  kernels::ConvGeometry geometry;
  std::shared_ptr<const std::vector<int32_t>> offsets;

  Var run(Context& ctx, const PackedWeight& packed, const kernels::Epilogue& epilogue, const Shape& shape) const;
  void operator()(Tape& tape, const Tensor& d_y) const;

 private:
  int64_t taps() const { return geometry.kernel_h * geometry.kernel_w; }
  int64_t rows_per_image() const { return geometry.out_h() * geometry.out_w(); }
  int64_t rows() const { return x.size(0) * rows_per_image(); }
  kernels::DepthwiseArgs args(float* c, const float* by_tap) const;
  Tensor weight_by_tap(Tape& tape) const;
  Tensor weight_grad(Tape& tape, const Tensor& d_y) const;
  Tensor image_grad(Tape& tape, const Tensor& d_y) const;
};

}  // namespace vit
