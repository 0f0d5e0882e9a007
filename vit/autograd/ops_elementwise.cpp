#include <cmath>

#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"
#include "vit/core/rng.h"

namespace vit {

namespace {

/// factor[b] for each sample of y = base + factor * x, in parallel over samples.
void add_scaled_samples(float* y, const float* base, const float* x, const std::vector<float>& factor, int64_t count) {
  parallel_for(static_cast<int64_t>(factor.size()), [&](int64_t b) {
    const auto& table = kernels::kernels();
    const int64_t at = b * count;
    table.scale(y + at, x + at, factor[static_cast<size_t>(b)], count);
    if (base) table.add(y + at, y + at, base + at, count);
  });
}

}  // namespace

Var scale(Context& ctx, const Var& x, float factor) {
  StageTimer timer(ctx.profile, "scale");
  Tensor y = ctx.arena.empty(x.shape());
  const auto run = [factor](float* to, const float* from, int64_t count) {
    parallel_for_range(count, kElementGrain, [&](int64_t begin, int64_t end) {
      kernels::kernels().scale(to + begin, from + begin, factor, end - begin);
    });
  };
  run(y.f32(), x.value().f32(), y.numel());
  report_traffic(ctx, "scale", 2.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x, run](Tape& tape, const Tensor& d_y) {
    Tensor d_x = tape.empty(x.shape());
    run(d_x.f32(), d_y.f32(), d_x.numel());
    tape.accumulate(x, std::move(d_x));
  });
}

Var average(Context& ctx, const Var& a, const Var& b) {
  check(a.shape() == b.shape(), "average: ", a.shape(), " and ", b.shape(), " differ");
  return scale(ctx, add(ctx, a, b), 0.5f);
}

Var scale_channels(Context& ctx, const Var& x, const Var& gamma) {
  StageTimer timer(ctx.profile, "scale_channels");
  const int64_t cols = x.size(-1), rows = x.shape().rows();
  vector_or_null("scale_channels", "gamma", gamma, cols);
  const auto run = [rows, cols](float* to, const float* from, const float* factors) {
    parallel_for_range(rows, row_grain(cols), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        kernels::kernels().multiply(to + row * cols, from + row * cols, factors, cols);
    });
  };
  Tensor y = ctx.arena.empty(x.shape());
  run(y.f32(), x.value().f32(), gamma.value().f32());
  report_traffic(ctx, "scale_channels", 2.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&x, &gamma})) return y;
  return ctx.tape->record(std::move(y), {x, gamma}, [x, gamma, run, rows, cols](Tape& tape, const Tensor& d_y) {
    if (gamma.requires_grad()) {
      const int64_t parts = gradient_parts(rows);
      const Tensor partial = tape.zeros({parts, cols});
      parallel_for(parts, [&](int64_t part) {
        const Range range = part_range(rows, parts, part);
        kernels::kernels().sum_rows_product(partial.f32() + part * cols, d_y.f32() + range.begin * cols, cols,
                                            x.value().f32() + range.begin * cols, cols, range.end - range.begin, cols);
      });
      Tensor d_gamma = tape.empty({cols});
      kernels::kernels().sum_rows(d_gamma.f32(), partial.f32(), cols, parts, cols, false);
      tape.accumulate(gamma, std::move(d_gamma));
    }
    if (!x.requires_grad()) return;
    Tensor d_x = tape.empty(x.shape());
    run(d_x.f32(), d_y.f32(), gamma.value().f32());
    tape.accumulate(x, std::move(d_x));
  });
}

Var dropout(Context& ctx, const Var& x, float p) {
  check(0.0f <= p && p < 1.0f, "dropout: the probability must be in [0, 1), got ", p);
  if (!ctx.training || p == 0.0f) return x;
  StageTimer timer(ctx.profile, "dropout");
  const int64_t count = x.value().numel();
  Tensor mask = ctx.arena.empty(x.shape());
  const uint64_t stream = ctx.next_random_stream();
  parallel_for_range(count, kElementGrain, [&](int64_t begin, int64_t end) {
    // A grain draws from a stream of its own, so the mask does not depend on who draws it.
    Rng rng(ctx.seed, stream + static_cast<uint64_t>(begin) * 0x9E3779B97F4A7C15ull);
    for (int64_t i = begin; i < end; ++i) mask.f32()[i] = rng.uniform() < p ? 0.0f : 1.0f / (1.0f - p);
  });
  return multiply(ctx, x, mask);
}

Var drop_path(Context& ctx, const Var& residual, const Var& branch, float p) {
  check(0.0f <= p && p < 1.0f, "drop_path: the probability must be in [0, 1), got ", p);
  if (!ctx.training || p == 0.0f) return add(ctx, branch, residual);
  StageTimer timer(ctx.profile, "drop_path");
  check(branch.shape() == residual.shape(), "drop_path: ", branch.shape(), " and ", residual.shape(), " differ");
  const int64_t batch = branch.size(0), count = batch == 0 ? 0 : branch.value().numel() / batch;
  Rng rng(ctx.seed, ctx.next_random_stream());
  std::vector<float> factor(static_cast<size_t>(batch));
  for (float& f : factor) f = rng.uniform() < p ? 0.0f : 1.0f / (1.0f - p);
  Tensor y = ctx.arena.empty(branch.shape());
  add_scaled_samples(y.f32(), residual.value().f32(), branch.value().f32(), factor, count);
  if (!recording(ctx, {&residual, &branch})) return y;
  return ctx.tape->record(std::move(y), {residual, branch},
                          [residual, branch, factor = std::move(factor), count](Tape& tape, const Tensor& d_y) {
                            tape.accumulate(residual, d_y);
                            if (!branch.requires_grad()) return;
                            Tensor d_branch = tape.empty(branch.shape());
                            add_scaled_samples(d_branch.f32(), nullptr, d_y.f32(), factor, count);
                            tape.accumulate(branch, std::move(d_branch));
                          });
}

}  // namespace vit
