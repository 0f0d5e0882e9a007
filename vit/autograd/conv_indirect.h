// The dense form of conv2d, and patch_embed: a convolution as a product of indirect rows (kernels.h), or by Winograd's
// algorithm where the weight was packed for it; with its gradient. Internal to vit/autograd.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "vit/autograd/ops.h"
#include "vit/kernels/conv_offsets.h"

namespace vit {

/// y[r] = sum over taps and positions of x[r, tap, position] * weight[f, tap, position], one weight [F, taps *
/// tap_length] for each group of channels.
struct IndirectConvolution {
  const char* op;
  Var x, weight, bias;
  std::optional<kernels::ConvGeometry> geometry{};            ///< of convolutions over maps
  std::shared_ptr<const std::vector<int32_t>> patch_offsets;  ///< of patches of pictures, which have no geometry
  int64_t batch, image_stride, rows_per_image, taps, tap_length, outputs;
  int64_t groups = 1;

  /// `y` is the result's memory. Errors: the weight has other taps.
  Var run(Context& ctx, const PackedWeight& packed, const kernels::Epilogue& epilogue, Tensor y) const;
  void operator()(Tape& tape, const Tensor& d_y) const;

 private:
  int64_t rows() const { return batch * rows_per_image; }
  // of one group
  int64_t group_inputs() const { return taps * tap_length; }
  int64_t group_outputs() const { return outputs / groups; }
  std::shared_ptr<const std::vector<int32_t>> offsets() const;
  kernels::IndirectRows rows_of(const float* images, int64_t group, const int32_t* table, const float* zeros) const;

  void multiply(float* y, const PackedWeight& packed, const kernels::Epilogue& epilogue,
                const MemorySource& memory) const;
  Tensor weight_grad(Tape& tape, const Tensor& d_y) const;
  Tensor image_grad(Tape& tape, const Tensor& d_y) const;
  Tensor scattered_image_grad(Tape& tape, const Tensor& d_y) const;
};

/// The dense convolution over maps [B, height, width, c] of this geometry.
IndirectConvolution indirect_convolution(const Var& x, const Var& weight, const Var& bias,
                                         const kernels::ConvGeometry& geometry, int64_t groups, int64_t outputs);

}  // namespace vit
