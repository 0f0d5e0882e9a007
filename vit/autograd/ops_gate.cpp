#include "vit/autograd/gate_ops.h"
#include "vit/autograd/op_support.h"

namespace vit {

namespace {

/// body(first, rows, sample) for runs of rows of one sample each, which has factors of its own; in parallel.
template <class Body>
void for_each_run(const Shape& shape, const Body& body) {
  const int64_t tokens = shape[1];
  parallel_for_range(shape[0] * tokens, row_grain(shape[2]), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin, next; row < end; row = next) {
      const int64_t sample = row / tokens;
      next = std::min(end, (sample + 1) * tokens);
      body(row, next - row, sample);
    }
  });
}

struct GateGradient {
  Var x, gate, residual;

  void operator()(Tape& tape, const Tensor& d_y) const {
    StageTimer timer(tape.profile(), "gate_channels.grad");
    if (residual.requires_grad()) tape.accumulate(residual, d_y);
    if (x.requires_grad()) tape.accumulate(x, x_grad(tape, d_y));
    if (gate.requires_grad()) tape.accumulate(gate, gate_grad(tape, d_y));
  }

 private:
  Tensor x_grad(Tape& tape, const Tensor& d_y) const {
    const int64_t channels = x.size(2);
    Tensor d_x = tape.empty(x.shape());
    for_each_run(x.shape(), [&](int64_t first, int64_t rows, int64_t sample) {
      for (int64_t at = first * channels; at < (first + rows) * channels; at += channels)
        kernels::kernels().multiply(d_x.f32() + at, d_y.f32() + at, gate.value().f32() + sample * channels, channels);
    });
    return d_x;
  }

  /// A sample's sums belong to one thread.
  Tensor gate_grad(Tape& tape, const Tensor& d_y) const {
    const int64_t tokens = x.size(1), channels = x.size(2);
    Tensor d_gate = tape.zeros(gate.shape());
    parallel_for(x.size(0), [&](int64_t sample) {
      const int64_t at = sample * tokens * channels;
      kernels::kernels().sum_rows_product(d_gate.f32() + sample * channels, d_y.f32() + at, channels,
                                          x.value().f32() + at, channels, tokens, channels);
    });
    return d_gate;
  }
};

}  // namespace

Var gate_channels(Context& ctx, const Var& x, const Var& gate, const Var& residual) {
  StageTimer timer(ctx.profile, "gate_channels");
  check(x.value().rank() == 3 && gate.shape() == Shape({x.size(0), x.size(2)}),
        "gate_channels: x [B, N, C] needs a gate [B, C], got ", x.shape(), " and ", gate.shape());
  check(!residual.defined() || residual.shape() == x.shape(), "gate_channels: x ", x.shape(), " and the residual ",
        residual.shape(), " differ");
  const int64_t channels = x.size(2);
  const float* base = floats_or_null(residual);
  Tensor y = ctx.arena.empty(x.shape());
  for_each_run(x.shape(), [&](int64_t first, int64_t rows, int64_t sample) {
    const auto& table = kernels::kernels();
    const float* factors = gate.value().f32() + sample * channels;
    const int64_t begin = first * channels, end = (first + rows) * channels;
    if (base)
      table.scale_add(y.f32() + begin, base + begin, x.value().f32() + begin, factors, rows, channels);
    else
      for (int64_t at = begin; at < end; at += channels)
        table.multiply(y.f32() + at, x.value().f32() + at, factors, channels);
  });
  report_traffic(ctx, "gate_channels", (base ? 3.0 : 2.0) * static_cast<double>(y.numel()));
  if (!recording(ctx, {&x, &gate, &residual})) return y;
  return ctx.tape->record(std::move(y), {x, gate, residual}, GateGradient{x, gate, residual});
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
