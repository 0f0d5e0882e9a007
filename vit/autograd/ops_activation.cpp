#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"

namespace vit {

namespace {

Shape halved_last(const Shape& shape) {
  std::vector<int64_t> extents(shape.begin(), shape.end());
  check(!extents.empty() && extents.back() % 2 == 0, "gated_activation: the last axis must be even, got ", shape);
  extents.back() /= 2;
  return Shape(extents);
}

}  // namespace

Var activate(Context& ctx, const Var& x, Activation activation) {
  StageTimer timer(ctx.profile, "activate");
  Tensor y = ctx.arena.empty(x.shape());
  parallel_for_range(x.value().numel(), kElementGrain, [&](int64_t begin, int64_t end) {
    kernels::kernels().activation(y.f32() + begin, x.value().f32() + begin, end - begin, activation);
  });
  report_traffic(ctx, "activate", 2.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x, activation](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "activate.grad");
    Tensor d_x = tape.empty(x.shape());
    parallel_for_range(d_x.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
      kernels::kernels().activation_grad(d_x.f32() + begin, d_y.f32() + begin, x.value().f32() + begin, end - begin,
                                         activation);
    });
    tape.accumulate(x, std::move(d_x));
  });
}

Var gated_activation(Context& ctx, const Var& x, Activation activation) {
  StageTimer timer(ctx.profile, "gated_activation");
  Tensor y = ctx.arena.empty(halved_last(x.shape()));
  const int64_t cols = y.size(-1), rows = y.shape().rows();
  parallel_for_range(rows, row_grain(cols), [&](int64_t begin, int64_t end) {
    const float* gate = x.value().f32() + begin * 2 * cols;
    kernels::kernels().gated_activation(y.f32() + begin * cols, cols, gate, gate + cols, 2 * cols, end - begin, cols,
                                        activation);
  });
  report_traffic(ctx, "gated_activation", 3.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x, activation, rows, cols](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "gated_activation.grad");
    Tensor d_x = tape.empty(x.shape());
    parallel_for_range(rows, row_grain(cols), [&](int64_t begin, int64_t end) {
      const float* gate = x.value().f32() + begin * 2 * cols;
      float* d_gate = d_x.f32() + begin * 2 * cols;
      kernels::kernels().gated_activation_grad(d_gate, d_gate + cols, 2 * cols, d_y.f32() + begin * cols, cols, gate,
                                               gate + cols, 2 * cols, end - begin, cols, activation);
    });
    tape.accumulate(x, std::move(d_x));
  });
}

Var softmax(Context& ctx, const Var& x) {
  StageTimer timer(ctx.profile, "softmax");
  Tensor y = ctx.arena.empty(x.shape());
  const int64_t cols = x.size(-1), rows = x.shape().rows();
  parallel_for_range(rows, row_grain(cols), [&](int64_t begin, int64_t end) {
    kernels::kernels().softmax(y.f32() + begin * cols, cols, x.value().f32() + begin * cols, cols, end - begin, cols,
                               1.0f);
  });
  report_traffic(ctx, "softmax", 2.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(y, {x}, [x, y, rows, cols](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "softmax.grad");
    Tensor d_x = tape.empty(x.shape());
    parallel_for_range(rows, row_grain(cols), [&](int64_t begin, int64_t end) {
      const int64_t at = begin * cols;
      kernels::kernels().softmax_grad(d_x.f32() + at, cols, d_y.f32() + at, cols, y.f32() + at, cols, end - begin, cols,
                                      1.0f);
    });
    tape.accumulate(x, std::move(d_x));
  });
}

}  // namespace vit
