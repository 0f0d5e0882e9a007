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
    if (a.requires_grad()) tape.accumulate(a, gradient_of_a(tape, d_y));
    if (b.requires_grad()) tape.accumulate(b, gradient_of_b(tape, d_y));
  }

 private:
  Tensor combined(Tape& tape, Binary g, const Tensor& u, const Tensor& v) const {
    Tensor result = tape.empty(broadcast_shape("binary.grad", u.shape(), v.shape()));
    broadcast_binary(g, result, u, v);
    return result;
  }
  Tensor summed(Tape& tape, const Tensor& d, const Var& input) const {
    return sum_to_shape([&](const Shape& shape) { return tape.empty(shape); }, d, input.shape());
  }
  Tensor negated(Tape& tape, const Tensor& x) const {
    Tensor result = tape.empty(x.shape());
    parallel_for_range(x.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
      kernels::kernels().scale(result.f32() + begin, x.f32() + begin, -1.0f, end - begin);
    });
    return result;
  }

  Tensor gradient_of_a(Tape& tape, const Tensor& d_y) const {
    const bool sum = f == Binary::add || f == Binary::subtract;
    return summed(tape, sum ? d_y : combined(tape, f, d_y, b.value()), a);
  }
  Tensor gradient_of_b(Tape& tape, const Tensor& d_y) const {
    if (f == Binary::add) return summed(tape, d_y, b);
    if (f == Binary::subtract) return negated(tape, summed(tape, d_y, b));
    if (f == Binary::multiply) return summed(tape, combined(tape, Binary::multiply, d_y, a.value()), b);
    // -d_y a / b^2 = -(d_y y) / b, and b is the same for all that is summed.
    const Tensor products = summed(tape, combined(tape, Binary::multiply, d_y, y), b);
    return negated(tape, combined(tape, Binary::divide, products, b.value()));
  }
};

Var binary(Context& ctx, const char* op, Binary f, const Var& a, const Var& b) {
  StageTimer timer(ctx.profile, op);
  Tensor y = ctx.arena.empty(broadcast_shape(op, a.shape(), b.shape()));
  broadcast_binary(f, y, a.value(), b.value());
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
