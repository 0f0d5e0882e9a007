#include <algorithm>
#include <cstring>

#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"
#include "vit/autograd/products.h"

namespace vit {

namespace {

void copy_floats(float* to, const float* from, int64_t count) {
  std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

/// A copy of rows [begin, end) of the token axis.
Tensor tokens_of(Tensor y, const Tensor& x, int64_t begin, int64_t end) {
  const int64_t channels = x.size(2), wanted = (end - begin) * channels;
  for (int64_t b = 0; b < x.size(0); ++b)
    copy_floats(y.f32() + b * wanted, x.f32() + (b * x.size(1) + begin) * channels, wanted);
  return y;
}
Tensor tokens_of(Tape& tape, const Tensor& x, int64_t begin, int64_t end) {
  if (begin == 0 && end == x.size(1)) return x;
  return tokens_of(tape.empty({x.size(0), end - begin, x.size(2)}), x, begin, end);
}

/// [B, N, C] -> [N * C]
Tensor sum_over_batch(Tape& tape, const Tensor& x) { return column_sums(tape, x, x.size(0), x.size(1) * x.size(2)); }

void check_tokens(const char* op, const Var& x) {
  check(x.value().rank() == 3, op, ": expected tokens [B, N, C], got ", x.shape());
}

}  // namespace

Var join_tokens(Context& ctx, const Var& prefix, const Var& x, const Var& pos) {
  StageTimer timer(ctx.profile, "join_tokens");
  check_tokens("join_tokens", x);
  const int64_t batch = x.size(0), tokens = x.size(1), channels = x.size(2);
  const int64_t extra = prefix.defined() ? prefix.size(1) : 0;
  check(!prefix.defined() || prefix.shape() == Shape{1, extra, channels}, "join_tokens: prefix ", prefix.shape(),
        " does not match ", x.shape());
  check(!pos.defined() || pos.shape() == Shape{1, tokens, channels}, "join_tokens: pos ", pos.shape(),
        " does not match ", x.shape());
  Tensor y = ctx.arena.empty({batch, extra + tokens, channels});
  const int64_t count = tokens * channels;
  parallel_for(batch, [&](int64_t b) {
    float* out = y.f32() + b * (extra + tokens) * channels;
    const float* in = x.value().f32() + b * count;
    if (extra > 0) copy_floats(out, prefix.value().f32(), extra * channels);
    if (pos.defined())
      kernels::kernels().add(out + extra * channels, in, pos.value().f32(), count);
    else
      copy_floats(out + extra * channels, in, count);
  });
  report_traffic(ctx, "join_tokens", 3.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&prefix, &x, &pos})) return y;
  return ctx.tape->record(std::move(y), {prefix, x, pos}, [prefix, x, pos, extra](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "join_tokens.grad");
    if (prefix.requires_grad())
      tape.accumulate(prefix, sum_over_batch(tape, tokens_of(tape, d_y, 0, extra)).view(prefix.shape()));
    const Tensor d_x = tokens_of(tape, d_y, extra, d_y.size(1));
    if (pos.requires_grad()) tape.accumulate(pos, sum_over_batch(tape, d_x).view(pos.shape()));
    tape.accumulate(x, d_x);
  });
}

Var concat_tokens(Context& ctx, const Var& a, const Var& b) {
  StageTimer timer(ctx.profile, "concat_tokens");
  check_tokens("concat_tokens", a);
  check_tokens("concat_tokens", b);
  const int64_t batch = std::max(a.size(0), b.size(0)), channels = a.size(2), left = a.size(1), right = b.size(1);
  check(b.size(2) == channels && (a.size(0) == batch || a.size(0) == 1) && (b.size(0) == batch || b.size(0) == 1),
        "concat_tokens: ", a.shape(), " and ", b.shape(), " do not match");
  Tensor y = ctx.arena.empty({batch, left + right, channels});
  for (int64_t i = 0; i < batch; ++i) {
    float* out = y.f32() + i * (left + right) * channels;
    copy_floats(out, a.value().f32() + (a.size(0) == 1 ? 0 : i) * left * channels, left * channels);
    copy_floats(out + left * channels, b.value().f32() + (b.size(0) == 1 ? 0 : i) * right * channels, right * channels);
  }
  report_traffic(ctx, "concat_tokens", 2.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&a, &b})) return y;
  return ctx.tape->record(std::move(y), {a, b}, [a, b, left, right](Tape& tape, const Tensor& d_y) {
    const auto give = [&](const Var& input, int64_t begin, int64_t end) {
      if (!input.requires_grad()) return;
      const Tensor part = tokens_of(tape, d_y, begin, end);
      tape.accumulate(input, input.size(0) == d_y.size(0) ? part : sum_over_batch(tape, part).view(input.shape()));
    };
    give(a, 0, left);
    give(b, left, left + right);
  });
}

Var slice_rows(Context& ctx, const Var& x, int64_t begin, int64_t end) {
  Tensor y = x.value().slice(begin, end);
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x, begin, end](Tape& tape, const Tensor& d_y) {
    Tensor d_x = tape.zeros(x.shape());
    copy_floats(d_x.slice(begin, end).f32(), d_y.f32(), d_y.numel());
    tape.accumulate(x, std::move(d_x));
  });
}

Var reshape(Context& ctx, const Var& x, const Shape& shape) {
  Tensor y = x.value().view(shape);
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x},
                          [x](Tape& tape, const Tensor& d_y) { tape.accumulate(x, d_y.view(x.shape())); });
}

Var select_token(Context& ctx, const Var& x, int64_t index) {
  return reshape(ctx, slice_tokens(ctx, x, index, index + 1), {x.size(0), x.size(2)});
}

Var embedding(Context& ctx, const Var& table, const Tensor& indices) {
  StageTimer timer(ctx.profile, "embedding");
  check(table.value().rank() == 2, "embedding: expected a table [V, C], got ", table.shape());
  const int64_t rows = table.size(0), channels = table.size(1), count = indices.numel();
  const int64_t* index = indices.data<int64_t>();
  for (int64_t i = 0; i < count; ++i)
    check(0 <= index[i] && index[i] < rows, "embedding: index ", index[i], " is outside a table of ", rows, " rows");
  std::vector<int64_t> extents(indices.shape().begin(), indices.shape().end());
  extents.push_back(channels);
  Tensor y = ctx.arena.empty(Shape(extents));
  for (int64_t i = 0; i < count; ++i)
    copy_floats(y.f32() + i * channels, table.value().f32() + index[i] * channels, channels);
  report_traffic(ctx, "embedding", 2.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&table})) return y;
  return ctx.tape->record(std::move(y), {table}, [table, indices, channels](Tape& tape, const Tensor& d_y) {
    // In the order of the indices, on one thread: several may name one row.
    Tensor d_table = tape.zeros(table.shape());
    for (int64_t i = 0; i < indices.numel(); ++i) {
      float* row = d_table.f32() + indices.data<int64_t>()[i] * channels;
      kernels::kernels().add(row, row, d_y.f32() + i * channels, channels);
    }
    tape.accumulate(table, std::move(d_table));
  });
}

Var reduce_tokens(Context& ctx, const Var& x, int64_t first_token, Reduction reduction) {
  StageTimer timer(ctx.profile, "reduce_tokens");
  check_tokens("reduce_tokens", x);
  const int64_t tokens = x.size(1), channels = x.size(2);
  check(0 <= first_token && first_token < tokens, "reduce_tokens: first token ", first_token, " is outside ",
        x.shape());
  Tensor y = ctx.arena.empty({x.size(0), channels});
  const auto inputs_of = [x, first_token](int64_t b) {
    return x.value().f32() + (b * x.size(1) + first_token) * x.size(2);
  };
  parallel_for(x.size(0), [&](int64_t b) {
    float* out = y.f32() + b * channels;
    const float* in = inputs_of(b);
    if (reduction == Reduction::mean) {
      kernels::kernels().mean_rows(out, in, channels, tokens - first_token, channels);
      return;
    }
    copy_floats(out, in, channels);
    for (int64_t n = 1; n < tokens - first_token; ++n)
      for (int64_t c = 0; c < channels; ++c) out[c] = std::max(out[c], in[n * channels + c]);
  });
  report_traffic(ctx, "reduce_tokens", static_cast<double>(x.value().numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(y, {x}, [x, y, first_token, reduction, inputs_of](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "reduce_tokens.grad");
    Tensor d_x = tape.zeros(x.shape());
    const int64_t width = x.size(2), reduced = x.size(1) - first_token;
    parallel_for(x.size(0), [&](int64_t b) {
      const float *d_out = d_y.f32() + b * width, *out = y.f32() + b * width, *in = inputs_of(b);
      float* d_in = d_x.f32() + (b * x.size(1) + first_token) * width;
      if (reduction == Reduction::mean) {
        for (int64_t n = 0; n < reduced; ++n)
          kernels::kernels().scale(d_in + n * width, d_out, 1.0f / static_cast<float>(reduced), width);
        return;
      }
      for (int64_t c = 0; c < width; ++c) {  // the first of equal maxima has the gradient, as torch's max over an axis
        int64_t n = 0;
        while (n + 1 < reduced && in[n * width + c] != out[c]) ++n;
        d_in[n * width + c] = d_out[c];
      }
    });
    tape.accumulate(x, std::move(d_x));
  });
}

}  // namespace vit
