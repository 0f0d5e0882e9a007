// Copies, elementwise functions and reductions over tensors of any rank whose axes have strides of their own: what
// permutations, slices, broadcasting and reductions have in common. Internal to vit/autograd.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "vit/autograd/tape.h"
#include "vit/core/context.h"
#include "vit/core/tensor.h"
#include "vit/kernels/tensor_kernels.h"

namespace vit {

/// Memory for a result or an intermediate: the context's arena, or the tape's.
using Memory = std::function<Tensor(const Shape&)>;
inline Memory memory_from(Context& ctx) {
  return [&ctx](const Shape& shape) { return ctx.arena.empty(shape); };
}
inline Memory memory_from(Tape& tape) {
  return [&tape](const Shape& shape) { return tape.empty(shape); };
}

using Strides = std::array<int64_t, Shape::kMaxRank>;

/// Distance in elements between neighbours along each axis of a contiguous tensor.
Strides contiguous_strides(const Shape& shape);

/// An axis counted from the start. Errors: there is no such axis.
int64_t checked_axis(std::string_view op, const Shape& shape, int64_t axis);

/// The shape that both are broadcast to, as NumPy does. Errors: an axis differs and neither extent is 1.
Shape broadcast_shape(std::string_view op, const Shape& a, const Shape& b);

/// Strides of a tensor of shape `from` seen under the shape `to` that it is broadcast to: 0 along repeated axes.
Strides broadcast_strides(const Shape& from, const Shape& to);

/// y[i] = x[i] for every index i of `shape`; y and x lie apart, and have any strides.
void strided_copy(float* y, const Strides& y_strides, const float* x, const Strides& x_strides, const Shape& shape);

/// f(a, b), broadcast. Errors, prefixed with `op`: shapes do not match.
Tensor broadcast_binary(const Memory& memory, std::string_view op, kernels::Binary f, const Tensor& a, const Tensor& b);

/// factor * x.
Tensor scaled(const Memory& memory, const Tensor& x, float factor);

enum class Reduce { sum, max };

/// x reduced over those of its axes that `reduced` marks; they stay, as 1. Sums run in an order that depends on the
/// shape alone. A maximum over nothing is -inf.
Tensor reduce_axes(const Memory& memory, const Tensor& x, const std::vector<bool>& reduced, Reduce reduce);

/// The gradient of what was broadcast: `d` summed over the axes along which a tensor of shape `to` was repeated.
Tensor sum_to_shape(const Memory& memory, const Tensor& d, const Shape& to);

}  // namespace vit
