// Elementwise functions of two tensors, broadcasting.
#include <utility>

#include "vit/autograd/op_support.h"
#include "vit/autograd/strided.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

using kernels::Binary;

/// What the gradient of y = f(a, b) needs. Each input's gradient is computed under y's shape, and summed over the axes
/// along which the input was repeated.
struct BinaryRecord {
  Binary f;
  Var a, b;
  Tensor y{};  ///< of a quotient: a / b

  void operator()(Tape& tape, const Tensor& d_y) const {
    StageTimer timer(tape.profile(), "binary.grad");
    const Memory memory = memory_from(tape);
    if (a.requires_grad()) tape.accumulate(a, gradient_of_a(memory, d_y));
    if (b.requires_grad()) tape.accumulate(b, gradient_of_b(memory, d_y));
  }

 private:
  static Tensor combined(const Memory& memory, Binary g, const Tensor& u, const Tensor& v) {
    return broadcast_binary(memory, "binary.grad", g, u, v);
  }

  Tensor gradient_of_a(const Memory& memory, const Tensor& d_y) const {
    const bool sum = f == Binary::add || f == Binary::subtract;
    return sum_to_shape(memory, sum ? d_y : combined(memory, f, d_y, b.value()), a.shape());
  }
  Tensor gradient_of_b(const Memory& memory, const Tensor& d_y) const {
    const auto summed = [&](const Tensor& d) { return sum_to_shape(memory, d, b.shape()); };
    if (f == Binary::add) return summed(d_y);
    if (f == Binary::subtract) return scaled(memory, summed(d_y), -1.0f);
    if (f == Binary::multiply) return summed(combined(memory, Binary::multiply, d_y, a.value()));
    // -d_y a / b^2 = -(d_y y) / b, and b is the same for all that is summed.
    const Tensor products = summed(combined(memory, Binary::multiply, d_y, y));
    return scaled(memory, combined(memory, Binary::divide, products, b.value()), -1.0f);
  }
};

Var binary(Context& ctx, const char* op, Binary f, const Var& a, const Var& b) {
  StageTimer timer(ctx.profile, op);
  Tensor y = broadcast_binary(memory_from(ctx), op, f, a.value(), b.value());
  report_traffic(ctx, op, static_cast<double>(a.value().numel() + b.value().numel() + y.numel()));
  if (!recording(ctx, {&a, &b})) return y;
  BinaryRecord record{f, a, b};
  if (f == Binary::divide) record.y = y;
  return ctx.tape->record(std::move(y), {a, b}, std::move(record));
}

}  // namespace

Var add(Context& ctx, const Var& a, const Var& b) { return binary(ctx, "add", Binary::add, a, b); }
Var subtract(Context& ctx, const Var& a, const Var& b) { return binary(ctx, "subtract", Binary::subtract, a, b); }
Var multiply(Context& ctx, const Var& a, const Var& b) { return binary(ctx, "multiply", Binary::multiply, a, b); }
Var divide(Context& ctx, const Var& a, const Var& b) { return binary(ctx, "divide", Binary::divide, a, b); }

}  // namespace vit
