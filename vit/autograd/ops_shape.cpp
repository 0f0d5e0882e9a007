#include <cstring>

#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"

namespace vit {

namespace {

void copy_floats(float* to, const float* from, int64_t count) {
  std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

void check_tokens(const char* op, const Var& x) {
  check(x.value().rank() == 3, op, ": expected tokens [B, N, C], got ", x.shape());
}

}  // namespace

Var join_tokens(Context& ctx, const Var& prefix, const Var& x, const Var& pos) {
  StageTimer timer(ctx.profile, "join_tokens");
  require_no_gradient(ctx, "join_tokens", {&prefix, &x, &pos});
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
  return y;
}

Var concat_features(Context& ctx, const Var& a, const Var& b) {
  require_no_gradient(ctx, "concat_features", {&a, &b});
  check(a.value().rank() == 2 && b.value().rank() == 2 && a.size(0) == b.size(0), "concat_features: ", a.shape(),
        " and ", b.shape(), " do not match");
  const int64_t left = a.size(1), right = b.size(1);
  Tensor y = ctx.arena.empty({a.size(0), left + right});
  for (int64_t i = 0; i < a.size(0); ++i) {
    copy_floats(y.f32() + i * (left + right), a.value().f32() + i * left, left);
    copy_floats(y.f32() + i * (left + right) + left, b.value().f32() + i * right, right);
  }
  return y;
}

Var slice_tokens(Context& ctx, const Var& x, int64_t begin, int64_t end) {
  require_no_gradient(ctx, "slice_tokens", {&x});
  check_tokens("slice_tokens", x);
  check(0 <= begin && begin <= end && end <= x.size(1), "slice_tokens: [", begin, ", ", end, ") is outside ",
        x.shape());
  const int64_t channels = x.size(2), wanted = (end - begin) * channels;
  Tensor y = ctx.arena.empty({x.size(0), end - begin, channels});
  for (int64_t b = 0; b < x.size(0); ++b)
    copy_floats(y.f32() + b * wanted, x.value().f32() + (b * x.size(1) + begin) * channels, wanted);
  return y;
}

Var select_token(Context& ctx, const Var& x, int64_t index) {
  const Var row = slice_tokens(ctx, x, index, index + 1);
  return row.value().view({x.size(0), x.size(2)});
}

Var reduce_tokens(Context& ctx, const Var& x, int64_t first_token, Reduction reduction) {
  require_no_gradient(ctx, "reduce_tokens", {&x});
  check_tokens("reduce_tokens", x);
  const int64_t tokens = x.size(1), channels = x.size(2);
  check(0 <= first_token && first_token < tokens, "reduce_tokens: first token ", first_token, " is outside ",
        x.shape());
  Tensor y = ctx.arena.empty({x.size(0), channels});
  parallel_for(x.size(0), [&](int64_t b) {
    float* out = y.f32() + b * channels;
    const float* in = x.value().f32() + (b * tokens + first_token) * channels;
    if (reduction == Reduction::mean) {
      kernels::kernels().mean_rows(out, in, channels, tokens - first_token, channels);
      return;
    }
    copy_floats(out, in, channels);
    for (int64_t n = 1; n < tokens - first_token; ++n)
      for (int64_t c = 0; c < channels; ++c) out[c] = std::max(out[c], in[n * channels + c]);
  });
  report_traffic(ctx, "reduce_tokens", static_cast<double>(x.value().numel()));
  return y;
}

}  // namespace vit
