// The form of conv2d for wide 3 x 3 convolutions of stride 1 (vit/kernels/winograd.h). Internal to vit/autograd.
#pragma once

#include "vit/autograd/packed_weight.h"
#include "vit/kernels/conv_offsets.h"
#include "vit/kernels/kernels.h"

namespace vit {

/// Whether Winograd's algorithm serves a convolution of one group better: 3 x 3 taps, stride 1, no dilation, as much
/// padding on all sides, and channels enough for the products that it saves to outweigh the transforms. The map's
/// extents do not matter.
bool suits_winograd(const kernels::ConvGeometry& geometry, int64_t outputs);

/// pack_conv2d of ops.h by geometry, in memory from the source.
PackedWeight pack_conv2d(const Tensor& weight, const kernels::ConvGeometry& geometry, int64_t groups,
                         const MemorySource& memory);

/// y [B * height' * width', F] of maps x [B, height, width, c]; temporaries come from `memory`.
void winograd_product(float* y, const Tensor& x, const PackedWeight& packed, const kernels::Epilogue& epilogue,
                      int64_t padding, const MemorySource& memory);

}  // namespace vit
