// Tokens by number, and back to their places.
#include <cstring>
#include <utility>

#include "vit/autograd/op_support.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

/// Numbers of tokens: [M] for every sample, or [B, M].
struct TokenIndex {
  Tensor index;
  int64_t count;  ///< M

  const int64_t* sample(int64_t b) const { return index.data<int64_t>() + (index.rank() == 1 ? 0 : b * count); }
};

/// Errors: neither [M] nor [B, M], or a number outside [-1, tokens).
TokenIndex checked_index(const char* op, const Tensor& index, int64_t batch, int64_t tokens) {
  check(index.defined() && index.dtype() == DType::i64, op, ": the index must be i64");
  check(index.rank() == 1 || (index.rank() == 2 && index.size(0) == batch), op, ": expected an index [M] or [", batch,
        ", M], got ", index.shape());
  for (const int64_t i : index.span<int64_t>())
    check(-1 <= i && i < tokens, op, ": index ", i, " is outside [0, ", tokens, "), and is not -1");
  return {index, index.size(-1)};
}

/// y [B, M, C] = x [B, N, C] at the indices; `filler` [C], or zeros, at those of -1.
void gather(const Tensor& y, const Tensor& x, const TokenIndex& index, const float* filler) {
  const int64_t channels = x.size(2), tokens = x.size(1);
  const size_t bytes = static_cast<size_t>(channels) * sizeof(float);
  parallel_for_range(x.size(0) * index.count, row_grain(channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t b = row / index.count, from = index.sample(b)[row % index.count];
      float* to = y.f32() + row * channels;
      if (from >= 0)
        std::memcpy(to, x.f32() + (b * tokens + from) * channels, bytes);
      else if (filler)
        std::memcpy(to, filler, bytes);
      else
        std::memset(to, 0, bytes);
    }
  });
}

/// y [B, N, C] = zeros + x [B, M, C] added at the indices, in their order: a sample belongs to one thread.
void scatter(const Tensor& y, const Tensor& x, const TokenIndex& index) {
  const int64_t channels = y.size(2), tokens = y.size(1);
  parallel_for(y.size(0), [&](int64_t b) {
    float* sample = y.f32() + b * tokens * channels;
    std::memset(sample, 0, static_cast<size_t>(tokens * channels) * sizeof(float));
    for (int64_t i = 0; i < index.count; ++i) {
      const int64_t to = index.sample(b)[i];
      if (to < 0) continue;
      float* row = sample + to * channels;
      kernels::kernels().add(row, row, x.f32() + (b * index.count + i) * channels, channels);
    }
  });
}

/// d_filler [C] = the sum of d_y over the places that have it.
Tensor filler_gradient(Tape& tape, const Tensor& d_y, const TokenIndex& index) {
  const int64_t channels = d_y.size(2);
  Tensor sum = tape.zeros({channels});
  for (int64_t b = 0; b < d_y.size(0); ++b)
    for (int64_t i = 0; i < index.count; ++i)
      if (index.sample(b)[i] < 0)
        kernels::kernels().add(sum.f32(), sum.f32(), d_y.f32() + (b * index.count + i) * channels, channels);
  return sum;
}

}  // namespace

Var gather_tokens(Context& ctx, const Var& x, const Tensor& index, const Var& filler) {
  StageTimer timer(ctx.profile, "gather_tokens");
  check(x.value().rank() == 3, "gather_tokens: expected tokens [B, N, C], got ", x.shape());
  const TokenIndex from = checked_index("gather_tokens", index, x.size(0), x.size(1));
  Tensor y = ctx.arena.empty({x.size(0), from.count, x.size(2)});
  gather(y, x.value(), from, vector_or_null("gather_tokens", "filler", filler, x.size(2)));
  report_traffic(ctx, "gather_tokens", 2.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&x, &filler})) return y;
  return ctx.tape->record(std::move(y), {x, filler}, [x, filler, from](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "gather_tokens.grad");
    if (filler.requires_grad()) tape.accumulate(filler, filler_gradient(tape, d_y, from));
    if (!x.requires_grad()) return;
    Tensor d_x = tape.empty(x.shape());
    scatter(d_x, d_y, from);
    tape.accumulate(x, std::move(d_x));
  });
}

Var scatter_tokens(Context& ctx, const Var& x, const Tensor& index, int64_t tokens) {
  StageTimer timer(ctx.profile, "scatter_tokens");
  check(x.value().rank() == 3, "scatter_tokens: expected tokens [B, M, C], got ", x.shape());
  check(tokens >= 0, "scatter_tokens: expected a number of tokens, got ", tokens);
  const TokenIndex to = checked_index("scatter_tokens", index, x.size(0), tokens);
  check(to.count == x.size(1), "scatter_tokens: ", to.count, " places are named for ", x.shape());
  Tensor y = ctx.arena.empty({x.size(0), tokens, x.size(2)});
  scatter(y, x.value(), to);
  report_traffic(ctx, "scatter_tokens", 2.0 * static_cast<double>(x.value().numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x, to](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "scatter_tokens.grad");
    Tensor d_x = tape.empty(x.shape());
    gather(d_x, d_y, to, nullptr);
    tape.accumulate(x, std::move(d_x));
  });
}

}  // namespace vit
