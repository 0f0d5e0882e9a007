#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"

namespace vit {

namespace {

constexpr int64_t kElementGrain = 16384;

Shape halved_last(const Shape& shape) {
  std::vector<int64_t> extents(shape.begin(), shape.end());
  check(!extents.empty() && extents.back() % 2 == 0, "gated_activation: the last axis must be even, got ", shape);
  extents.back() /= 2;
  return Shape(extents);
}

}  // namespace

Var activate(Context& ctx, const Var& x, Activation activation) {
  StageTimer timer(ctx.profile, "activate");
  require_no_gradient(ctx, "activate", {&x});
  Tensor y = ctx.arena.empty(x.shape());
  parallel_for_range(x.value().numel(), kElementGrain, [&](int64_t begin, int64_t end) {
    kernels::kernels().activation(y.f32() + begin, x.value().f32() + begin, end - begin, activation);
  });
  report_traffic(ctx, "activate", 2.0 * static_cast<double>(y.numel()));
  return y;
}

Var gated_activation(Context& ctx, const Var& x, Activation activation) {
  StageTimer timer(ctx.profile, "gated_activation");
  require_no_gradient(ctx, "gated_activation", {&x});
  Tensor y = ctx.arena.empty(halved_last(x.shape()));
  const int64_t cols = y.size(-1), rows = y.shape().rows();
  parallel_for_range(rows, row_grain(cols), [&](int64_t begin, int64_t end) {
    const float* gate = x.value().f32() + begin * 2 * cols;
    kernels::kernels().gated_activation(y.f32() + begin * cols, cols, gate, gate + cols, 2 * cols, end - begin, cols,
                                        activation);
  });
  report_traffic(ctx, "gated_activation", 3.0 * static_cast<double>(y.numel()));
  return y;
}

Var softmax(Context& ctx, const Var& x) {
  StageTimer timer(ctx.profile, "softmax");
  require_no_gradient(ctx, "softmax", {&x});
  Tensor y = ctx.arena.empty(x.shape());
  const int64_t cols = x.size(-1), rows = x.shape().rows();
  parallel_for_range(rows, row_grain(cols), [&](int64_t begin, int64_t end) {
    kernels::kernels().softmax(y.f32() + begin * cols, cols, x.value().f32() + begin * cols, cols, end - begin, cols,
                               1.0f);
  });
  report_traffic(ctx, "softmax", 2.0 * static_cast<double>(y.numel()));
  return y;
}

Var add(Context& ctx, const Var& a, const Var& b) {
  StageTimer timer(ctx.profile, "add");
  require_no_gradient(ctx, "add", {&a, &b});
  const int64_t period = b.value().numel();
  const bool broadcast = !(a.shape() == b.shape());
  if (broadcast) {
    std::vector<int64_t> extents(a.shape().begin(), a.shape().end());
    check(!extents.empty(), "add: ", a.shape(), " and ", b.shape(), " do not match");
    extents[0] = 1;
    check(Shape(extents) == b.shape(), "add: ", a.shape(), " and ", b.shape(), " do not match");
  }
  Tensor y = ctx.arena.empty(a.shape());
  const int64_t repeats = period == 0 ? 0 : a.value().numel() / period;
  for (int64_t i = 0; i < repeats; ++i) {
    parallel_for_range(period, kElementGrain, [&](int64_t begin, int64_t end) {
      const int64_t offset = i * period + begin;
      kernels::kernels().add(y.f32() + offset, a.value().f32() + offset, b.value().f32() + begin, end - begin);
    });
  }
  report_traffic(ctx, "add", 3.0 * static_cast<double>(y.numel()));
  return y;
}

Var average(Context& ctx, const Var& a, const Var& b) {
  require_no_gradient(ctx, "average", {&a, &b});
  check(a.shape() == b.shape(), "average: ", a.shape(), " and ", b.shape(), " differ");
  const Var sum = add(ctx, a, b);
  kernels::kernels().scale(sum.value().f32(), sum.value().f32(), 0.5f, sum.value().numel());
  return sum;
}

}  // namespace vit
