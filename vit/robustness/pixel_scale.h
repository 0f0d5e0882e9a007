// Between pixels of 0 to 1, where attacks live, and the normalised values that a model reads.
#pragma once

#include <array>

#include "vit/autograd/var.h"
#include "vit/core/context.h"

namespace vit {

struct ToFloat;

/// value = factor[c] * pixel + offset[c], per channel.
struct PixelScale {
  std::array<float, 3> factor{1.0f, 1.0f, 1.0f};
  std::array<float, 3> offset{0.0f, 0.0f, 0.0f};

  /// The arithmetic of a model's pre-processing: pixel is its byte / 255.
  static PixelScale of(const ToFloat& to_float);

  /// pixels [B, 3, height, width] -> the model's input. Differentiable where the context has a tape.
  Var normalized(Context& ctx, const Var& pixels) const;
  Tensor normalized(const Tensor& pixels) const;
  /// Back again.
  Tensor pixels(const Tensor& normalized) const;
};

}  // namespace vit
