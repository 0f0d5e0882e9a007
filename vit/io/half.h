// f32 to the 16-bit formats, for writing weights in half the space. (Reading is in io/safetensors.h.)
#pragma once

#include <cstdint>

#include "vit/core/tensor.h"

namespace vit {

/// The nearest 16-bit number, ties to even, as IEEE 754 and torch round; too large becomes infinite, NaN stays NaN.
uint16_t f16_from_f32(float value);
uint16_t bf16_from_f32(float value);

/// An f32 tensor in the 16-bit format; other tensors are returned as they are, sharing their buffer. f16 only: Errors:
/// a finite value beyond its range (65504), which would become infinite; `name` is for the message.
Tensor to_f16(const Tensor& tensor, const char* name = "tensor");
Tensor to_bf16(const Tensor& tensor);

}  // namespace vit
