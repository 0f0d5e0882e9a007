// Ops on feature maps [B, height, width, C]. conv2d (with groups) is in ops.h.
#pragma once

#include <cstdint>

#include "vit/autograd/ops.h"

namespace vit {

/// Extents of a border around a map.
struct Border {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
};

/// Zeros (or `value`) around a map; negative extents cut it.
Var pad_map(Context& ctx, const Var& x, const Border& border, float value = 0.0f);

struct PoolOptions {
  int64_t kernel = 2, stride = 2;
  int64_t padding = 0;            ///< on each side; never counts as a maximum
  bool ceil_mode = false;         ///< a last, incomplete window counts (torch's rule: it must start inside)
  bool count_include_pad = true;  ///< means divide by the whole window, padding included
};

/// torch.nn.MaxPool2d. The first of equal maxima has the gradient.
Var max_pool2d(Context& ctx, const Var& x, const PoolOptions& options);
/// torch.nn.AvgPool2d.
Var avg_pool2d(Context& ctx, const Var& x, const PoolOptions& options);

/// Bilinear resampling to another size (align_corners false, no antialias: torch.nn.functional.interpolate).
Var resize_map(Context& ctx, const Var& x, int64_t height, int64_t width);

}  // namespace vit
