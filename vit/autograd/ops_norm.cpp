#include <cstring>

#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"

namespace vit {

namespace {

/// The rows that a norm works on: `groups` vectors of `cols` floats inside each of `rows` rows of `width` floats, from
/// column `first` on. Ordinary norms have one group that is the row; qk-norm has one per head.
struct NormRows {
  int64_t rows, width, first, groups, cols;
  int64_t offset(int64_t row) const { return row * width + first; }
  bool whole() const { return width == cols; }
};

/// The one row kernel behind layer_norm, rms_norm and head_norm, and its gradient.
struct RowNorm {
  Var x, weight, bias;
  float eps;
  bool rms;
  NormRows shape;
  Tensor mean{}, rstd{};  // [rows * groups], kept for the gradient

  void forward(const float* in, float* out) const {
    const auto& table = kernels::kernels();
    parallel_for_range(shape.rows, row_grain(shape.groups * shape.cols), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; row += step(end - begin)) {
        float* mean_r = mean.defined() ? mean.f32() + row * shape.groups : nullptr;
        float* rstd_r = rstd.defined() ? rstd.f32() + row * shape.groups : nullptr;
        const float* in_r = in + shape.offset(row);
        float* out_r = out + shape.offset(row);
        if (rms)
          table.rms_norm(out_r, stride(), rstd_r, in_r, stride(), floats_or_null(weight), count(end - begin),
                         shape.cols, eps);
        else
          table.layer_norm(out_r, stride(), mean_r, rstd_r, in_r, stride(), floats_or_null(weight),
                           floats_or_null(bias), count(end - begin), shape.cols, eps);
      }
    });
  }

  void operator()(Tape& tape, const Tensor& d_y) const {
    StageTimer timer(tape.profile(), "norm.grad");
    const auto& table = kernels::kernels();
    const int64_t parts = gradient_parts(shape.rows);
    const Tensor d_weights = tape.zeros({parts, 2 * shape.cols});
    Tensor d_x = tape.empty(x.shape());
    if (!shape.whole()) std::memcpy(d_x.raw(), d_y.raw(), static_cast<size_t>(d_y.nbytes()));  // other columns pass
    parallel_for(parts, [&](int64_t part) {
      const Range range = part_range(shape.rows, parts, part);
      float* d_weight = d_weights.f32() + part * 2 * shape.cols;
      for (int64_t row = range.begin; row < range.end; row += step(range.end - range.begin)) {
        const int64_t at = shape.offset(row), rows = count(range.end - range.begin);
        if (rms)
          table.rms_norm_grad(d_x.f32() + at, stride(), d_weight, d_y.f32() + at, stride(), x.value().f32() + at,
                              stride(), rstd.f32() + row * shape.groups, floats_or_null(weight), rows, shape.cols);
        else
          table.layer_norm_grad(d_x.f32() + at, stride(), d_weight, d_weight + shape.cols, d_y.f32() + at, stride(),
                                x.value().f32() + at, stride(), mean.f32() + row * shape.groups,
                                rstd.f32() + row * shape.groups, floats_or_null(weight), rows, shape.cols);
      }
    });
    tape.accumulate(x, std::move(d_x));
    accumulate_sums(tape, weight, d_weights.f32(), parts);
    accumulate_sums(tape, bias, d_weights.f32() + shape.cols, parts);
  }

 private:
  // One kernel call takes all rows of a part when they are contiguous, else the groups of one row.
  int64_t stride() const { return shape.cols; }
  int64_t step(int64_t rows) const { return shape.whole() ? rows : 1; }
  int64_t count(int64_t rows) const { return shape.whole() ? rows : shape.groups; }

  void accumulate_sums(Tape& tape, const Var& parameter, const float* partial, int64_t parts) const {
    if (!parameter.requires_grad()) return;
    Tensor sum = tape.empty({shape.cols});
    kernels::kernels().sum_rows(sum.f32(), partial, 2 * shape.cols, parts, shape.cols, false);
    tape.accumulate(parameter, std::move(sum));
  }
};

Var normalise(Context& ctx, const char* op, const Var& x, const Var& weight, const Var& bias, float eps, bool rms,
              const NormRows& rows) {
  StageTimer timer(ctx.profile, op);
  vector_or_null(op, "weight", weight, rows.cols);
  vector_or_null(op, "bias", bias, rows.cols);
  RowNorm norm{x, weight, bias, eps, rms, rows};
  report_traffic(ctx, op, 2.0 * static_cast<double>(rows.rows * rows.groups * rows.cols));
  if (!recording(ctx, {&x, &weight, &bias})) {
    // Inference normalises heads where they are; whole rows go to memory of their own.
    Tensor y = rows.whole() ? ctx.arena.empty(x.shape()) : x.value();
    norm.forward(x.value().f32(), y.f32());
    return y;
  }
  norm.rstd = ctx.arena.empty({rows.rows * rows.groups});
  if (!rms) norm.mean = ctx.arena.empty({rows.rows * rows.groups});
  Tensor y = ctx.arena.empty(x.shape());
  if (!rows.whole()) std::memcpy(y.raw(), x.value().raw(), static_cast<size_t>(y.nbytes()));
  norm.forward(x.value().f32(), y.f32());
  return ctx.tape->record(std::move(y), {x, weight, bias}, std::move(norm));
}

}  // namespace

Var layer_norm(Context& ctx, const Var& x, const Var& weight, const Var& bias, float eps) {
  const int64_t cols = x.size(-1);
  return normalise(ctx, "layer_norm", x, weight, bias, eps, false, {x.shape().rows(), cols, 0, 1, cols});
}

Var rms_norm(Context& ctx, const Var& x, const Var& weight, float eps) {
  const int64_t cols = x.size(-1);
  return normalise(ctx, "rms_norm", x, weight, {}, eps, true, {x.shape().rows(), cols, 0, 1, cols});
}

Var head_norm(Context& ctx, const HeadColumns& columns, int64_t heads, int64_t head_dim, const Var& weight,
              const Var& bias, float eps, bool rms) {
  const Var& tokens = columns.tokens;
  const int64_t width = tokens.size(-1);
  check(columns.first >= 0 && columns.first + heads * head_dim <= width, "head_norm: columns [", columns.first, ", ",
        columns.first + heads * head_dim, ") are outside ", tokens.shape());
  return normalise(ctx, "head_norm", tokens, weight, bias, eps, rms,
                   {tokens.shape().rows(), width, columns.first, heads, head_dim});
}

}  // namespace vit
