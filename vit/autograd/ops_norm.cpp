#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"

namespace vit {

namespace {

/// The one row kernel behind layer_norm, rms_norm and head_norm: rows of `cols` floats, `stride` apart.
struct RowNorm {
  const float* weight;
  const float* bias;
  float eps;
  bool rms;
  void operator()(float* y, const float* x, int64_t stride, int64_t rows, int64_t cols) const {
    const auto& table = kernels::kernels();
    if (rms)
      table.rms_norm(y, stride, nullptr, x, stride, weight, rows, cols, eps);
    else
      table.layer_norm(y, stride, nullptr, nullptr, x, stride, weight, bias, rows, cols, eps);
  }
};

Var normalise_rows(Context& ctx, const char* op, const Var& x, const RowNorm& norm) {
  StageTimer timer(ctx.profile, op);
  const int64_t cols = x.size(-1), rows = x.shape().rows();
  Tensor y = ctx.arena.empty(x.shape());
  parallel_for_range(rows, row_grain(cols), [&](int64_t begin, int64_t end) {
    norm(y.f32() + begin * cols, x.value().f32() + begin * cols, cols, end - begin, cols);
  });
  report_traffic(ctx, op, 2.0 * static_cast<double>(x.value().numel()));
  return y;
}

}  // namespace

Var layer_norm(Context& ctx, const Var& x, const Var& weight, const Var& bias, float eps) {
  require_no_gradient(ctx, "layer_norm", {&x, &weight, &bias});
  const int64_t cols = x.size(-1);
  return normalise_rows(ctx, "layer_norm", x,
                        {vector_or_null("layer_norm", "weight", weight, cols),
                         vector_or_null("layer_norm", "bias", bias, cols), eps, false});
}

Var rms_norm(Context& ctx, const Var& x, const Var& weight, float eps) {
  require_no_gradient(ctx, "rms_norm", {&x, &weight});
  return normalise_rows(ctx, "rms_norm", x,
                        {vector_or_null("rms_norm", "weight", weight, x.size(-1)), nullptr, eps, true});
}

Var head_norm(Context& ctx, const HeadColumns& columns, int64_t heads, int64_t head_dim, const Var& weight,
              const Var& bias, float eps, bool rms) {
  StageTimer timer(ctx.profile, "head_norm");
  require_no_gradient(ctx, "head_norm", {&columns.tokens, &weight, &bias});
  const Tensor& tokens = columns.tokens.value();
  const int64_t width = tokens.size(-1);
  check(columns.first >= 0 && columns.first + heads * head_dim <= width, "head_norm: columns [", columns.first, ", ",
        columns.first + heads * head_dim, ") are outside ", tokens.shape());
  const RowNorm norm{vector_or_null("head_norm", "weight", weight, head_dim),
                     vector_or_null("head_norm", "bias", bias, head_dim), eps, rms};
  const int64_t rows = tokens.shape().rows();
  parallel_for_range(rows, row_grain(heads * head_dim), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* first = tokens.f32() + row * width + columns.first;
      norm(first, first, head_dim, heads, head_dim);
    }
  });
  report_traffic(ctx, "head_norm", 2.0 * static_cast<double>(rows * heads * head_dim));
  return columns.tokens;
}

}  // namespace vit
