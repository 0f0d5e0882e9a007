#include "vit/io/half.h"

#include <bit>
#include <cmath>

namespace vit {

namespace {

constexpr float kLargestF16 = 65504.0f;

/// bits / 2^shift, to nearest, ties to even.
uint32_t shift_to_nearest(uint32_t bits, int shift) {
  const uint32_t half = 1u << (shift - 1), is_odd = (bits >> shift) & 1u;
  return (bits + half - 1 + is_odd) >> shift;
}

}  // namespace

uint16_t f16_from_f32(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);   // NaN, quiet
  if (magnitude >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 2^16 and beyond
  if (magnitude >= 0x38800000u)  // 2^-14 and above: normal; rounding may carry into the exponent, up to infinity
    return static_cast<uint16_t>(sign | shift_to_nearest(magnitude - (uint32_t{127 - 15} << 23), 13));
  if (magnitude < 0x33000000u) return static_cast<uint16_t>(sign);  // below 2^-25
  // Subnormal, m * 2^-24: the significand with its leading one, shifted to where 2^-24 is the last bit.
  const int exponent = static_cast<int>(magnitude >> 23);
  const uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
  return static_cast<uint16_t>(sign | shift_to_nearest(significand, 126 - exponent));
}

uint16_t bf16_from_f32(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x0040u);
  return static_cast<uint16_t>(shift_to_nearest(bits & 0x7fffffffu, 16) | ((bits >> 16) & 0x8000u));
}

Tensor to_f16(const Tensor& tensor, const char* name) {
  if (tensor.dtype() != DType::f32) return tensor;
  Tensor result = Tensor::empty(tensor.shape(), DType::f16);
  const float* in = tensor.f32();
  Float16* out = result.data<Float16>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    out[i].bits = f16_from_f32(in[i]);
    const bool overflows = (out[i].bits & 0x7fffu) == 0x7c00u && std::isfinite(in[i]);
    check(!overflows, "to_f16: ", name, " holds ", in[i], ", beyond half precision's ", kLargestF16,
          "; keep it in f32 or bf16");
  }
  return result;
}

Tensor to_bf16(const Tensor& tensor) {
  if (tensor.dtype() != DType::f32) return tensor;
  Tensor result = Tensor::empty(tensor.shape(), DType::bf16);
  const float* in = tensor.f32();
  BFloat16* out = result.data<BFloat16>();
  for (int64_t i = 0; i < tensor.numel(); ++i) out[i].bits = bf16_from_f32(in[i]);
  return result;
}

}  // namespace vit
