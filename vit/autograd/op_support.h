// What every op does around its kernel: tell whether a gradient is wanted, report its work and its time. Internal to
// vit/autograd.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "vit/autograd/packed_weight.h"
#include "vit/autograd/tape.h"
#include "vit/autograd/var.h"
#include "vit/core/context.h"
#include "vit/core/parallel.h"

namespace vit {

/// Elements that one part of an elementwise op gets.
inline constexpr int64_t kElementGrain = 16384;

/// Rows that one part of a row-wise op gets: enough to pay for handing it out.
inline int64_t row_grain(int64_t cols) { return std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, cols)); }

/// Whether this call must record a gradient: there is a tape, and one of the inputs needs one.
inline bool recording(const Context& ctx, std::initializer_list<const Var*> inputs) {
  return ctx.tape && std::any_of(inputs.begin(), inputs.end(), [](const Var* input) { return input->requires_grad(); });
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

/// Row-wise gradients that are summed over rows (of norms' weights) are summed in fixed parts of so many rows each,
/// then over the parts: the order depends on the size alone.
inline int64_t gradient_parts(int64_t rows) { return std::clamp<int64_t>(rows / 64, 1, 32); }

inline const float* floats_or_null(const Var& var) { return var.defined() ? var.value().f32() : nullptr; }

/// A vector of `size` floats, or null when it is undefined. Errors: another shape.
inline const float* vector_or_null(std::string_view op, std::string_view what, const Var& vector, int64_t size) {
  if (!vector.defined()) return nullptr;
  check(vector.shape() == Shape{size}, op, ": ", what, " must be [", size, "], got ", vector.shape());
  return vector.value().f32();
}

/// Memory for a result of `shape`: the residual's, where it was given away and nobody else holds it, else the arena's.
inline Tensor result_memory(Context& ctx, const Shape& shape, const Var& residual, bool overwrite) {
  const bool free = overwrite && residual.defined() && residual.shape() == shape && residual.value().unique();
  return free ? residual.value() : ctx.arena.empty(shape);
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
