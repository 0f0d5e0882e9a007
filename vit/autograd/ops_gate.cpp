#include "vit/autograd/gate_ops.h"
#include "vit/autograd/op_support.h"

namespace vit {

Var gate_channels(Context& ctx, const Var& x, const Var& gate, const Var& residual) {
  check(x.value().rank() == 3 && gate.shape() == Shape({x.size(0), x.size(2)}),
        "gate_channels: x [B, N, C] needs a gate [B, C], got ", x.shape(), " and ", gate.shape());
  check(!residual.defined() || residual.shape() == x.shape(), "gate_channels: x ", x.shape(), " and the residual ",
        residual.shape(), " differ");
  if (!residual.defined() || recording(ctx, {&x, &gate, &residual})) {
    const Var y = multiply(ctx, x, reshape(ctx, gate, {x.size(0), 1, x.size(2)}));
    return residual.defined() ? add(ctx, residual, y) : y;
  }
  StageTimer timer(ctx.profile, "gate_channels");
  const int64_t tokens = x.size(1), channels = x.size(2);
  Tensor y = ctx.arena.empty(x.shape());
  parallel_for_range(x.size(0) * tokens, row_grain(channels), [&](int64_t begin, int64_t end) {
    // A part may cross samples, each of which has factors of its own.
    for (int64_t row = begin, next; row < end; row = next) {
      const int64_t sample = row / tokens, at = row * channels;
      next = std::min(end, (sample + 1) * tokens);
      kernels::kernels().scale_add(y.f32() + at, residual.value().f32() + at, x.value().f32() + at,
                                   gate.value().f32() + sample * channels, next - row, channels);
    }
  });
  report_traffic(ctx, "gate_channels", 3.0 * static_cast<double>(y.numel()));
  return y;
}

Var activate_in_place(Context& ctx, Var x, Activation activation) {
  if (activation == Activation::none) return x;
  if (recording(ctx, {&x}) || !x.value().unique()) return activate(ctx, x, activation);
  StageTimer timer(ctx.profile, "activate");
  float* values = x.value().f32();
  parallel_for_range(x.value().numel(), kElementGrain, [&](int64_t begin, int64_t end) {
    kernels::kernels().activation(values + begin, values + begin, end - begin, activation);
  });
  report_traffic(ctx, "activate", 2.0 * static_cast<double>(x.value().numel()));
  return x;
}

}  // namespace vit
