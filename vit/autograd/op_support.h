// What every op does around its kernel: refuse to run under a tape when it has no gradient, report its work and its
// time. Internal to vit/autograd.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "vit/autograd/packed_weight.h"
#include "vit/autograd/var.h"
#include "vit/core/context.h"
#include "vit/core/parallel.h"

namespace vit {

/// Rows that one part of a row-wise op gets: enough to pay for handing it out.
inline int64_t row_grain(int64_t cols) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, cols)); }

/// Errors: a gradient of this op is wanted, and it has none.
inline void require_no_gradient(const Context& ctx, std::string_view op, std::initializer_list<const Var*> inputs) {
  if (!ctx.tape) return;
  for (const Var* input : inputs) check(!input->requires_grad(), op, ": gradients are not available in this version");
}

/// The packed weight of one call. For inference it was packed once; in training it changes with every step, and is
/// packed into memory of the call. Errors: the weight is not loaded.
inline PackedWeight packed_for_call(Context& ctx, std::string_view op, const Weight& weight) {
  if (weight.packed.defined()) return weight.packed;
  check(weight.plain.defined(), op, ": the weight is not loaded");
  const Tensor& plain = weight.plain.value();
  const int64_t inputs = plain.numel() / std::max<int64_t>(1, plain.size(0));
  return PackedWeight::pack_into(plain, ctx.arena.empty({PackedWeight::packed_elements(plain.size(0), inputs)}));
}

/// A vector of `size` floats, or null when it is undefined. Errors: another shape.
inline const float* vector_or_null(std::string_view op, std::string_view what, const Var& vector, int64_t size) {
  if (!vector.defined()) return nullptr;
  check(vector.shape() == Shape{size}, op, ": ", what, " must be [", size, "], got ", vector.shape());
  return vector.value().f32();
}

/// Work of a matrix product of m x n x k: two operations per multiply-add; reads both factors, writes the result.
inline void report_product(Context& ctx, std::string_view op, double m, double n, double k) {
  if (ctx.costs) ctx.costs->add_cost(ctx.scope(), op, 2.0 * m * n * k, 4.0 * (m * k + k * n + m * n));
}

/// Work of an op that reads and writes `elements` floats and has no matrix product.
inline void report_traffic(Context& ctx, std::string_view op, double elements) {
  if (ctx.costs) ctx.costs->add_cost(ctx.scope(), op, 0.0, 4.0 * elements);
}

}  // namespace vit
