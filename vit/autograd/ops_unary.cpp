// Elementwise functions of one tensor.
#include <utility>

#include "vit/autograd/op_support.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/kernels/tensor_kernels.h"

namespace vit {

namespace {

using kernels::Unary;

Var unary(Context& ctx, const char* op, Unary f, const Var& x) {
  StageTimer timer(ctx.profile, op);
  Tensor y = ctx.arena.empty(x.shape());
  parallel_for_range(y.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
    kernels::kernels().tensors->unary(f, y.f32() + begin, x.value().f32() + begin, end - begin);
  });
  report_traffic(ctx, op, 2.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(y, {x}, [x, y, f](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "unary.grad");
    Tensor d_x = tape.empty(x.shape());
    parallel_for_range(d_x.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
      kernels::kernels().tensors->unary_grad(f, d_x.f32() + begin, d_y.f32() + begin, x.value().f32() + begin,
                                             y.f32() + begin, end - begin);
    });
    tape.accumulate(x, std::move(d_x));
  });
}

}  // namespace

Var exp(Context& ctx, const Var& x) { return unary(ctx, "exp", Unary::exp, x); }
Var log(Context& ctx, const Var& x) { return unary(ctx, "log", Unary::log, x); }
Var square(Context& ctx, const Var& x) { return unary(ctx, "square", Unary::square, x); }
Var sqrt(Context& ctx, const Var& x) { return unary(ctx, "sqrt", Unary::sqrt, x); }
Var reciprocal(Context& ctx, const Var& x) { return unary(ctx, "reciprocal", Unary::reciprocal, x); }
Var elu_plus_one(Context& ctx, const Var& x) { return unary(ctx, "elu_plus_one", Unary::elu_plus_one, x); }

Var shift(Context& ctx, const Var& x, float value) {
  StageTimer timer(ctx.profile, "shift");
  Tensor y = ctx.arena.empty(x.shape());
  parallel_for_range(y.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
    kernels::kernels().tensors->shift(y.f32() + begin, x.value().f32() + begin, value, end - begin);
  });
  report_traffic(ctx, "shift", 2.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x](Tape& tape, const Tensor& d_y) { tape.accumulate(x, d_y); });
}

}  // namespace vit
