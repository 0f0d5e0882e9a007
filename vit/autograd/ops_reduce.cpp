// Sums, means and maxima over any axes; softmax and normalisation along any axis.
#include <utility>

#include "vit/autograd/op_support.h"
#include "vit/autograd/strided.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

using kernels::Binary;

/// Which axes are reduced, and the shapes with them as 1 and without them.
struct Axes {
  std::vector<bool> reduced;
  Shape kept, removed;
  int64_t count = 1;  ///< elements that become one
};

Axes axes_of(const char* op, const Shape& shape, const std::vector<int64_t>& axes) {
  Axes result;
  result.reduced.assign(static_cast<size_t>(shape.rank()), axes.empty());
  for (const int64_t axis : axes) {
    const auto i = static_cast<size_t>(checked_axis(op, shape, axis));
    check(!result.reduced[i], op, ": axis ", axis, " is named twice");
    result.reduced[i] = true;
  }
  std::vector<int64_t> kept(shape.begin(), shape.end()), removed;
  for (size_t i = 0; i < kept.size(); ++i) {
    if (!result.reduced[i])
      removed.push_back(kept[i]);
    else
      result.count *= std::exchange(kept[i], 1);
  }
  result.kept = Shape(kept);
  result.removed = Shape(removed);
  return result;
}

Tensor combined(Tape& tape, Binary f, const Tensor& a, const Tensor& b) {
  return broadcast_binary(memory_from(tape), "reduce.grad", f, a, b);
}

Tensor repeated(Tape& tape, const Tensor& d, const Shape& shape) {
  Tensor y = tape.empty(shape);
  strided_copy(y.f32(), contiguous_strides(shape), d.f32(), broadcast_strides(d.shape(), shape), shape);
  return y;
}

/// factor * the sum over the axes.
Var scaled_sum(Context& ctx, const char* op, const Var& x, const std::vector<int64_t>& axes, bool keep, bool mean) {
  StageTimer timer(ctx.profile, op);
  const Axes which = axes_of(op, x.shape(), axes);
  const float factor = mean ? 1.0f / static_cast<float>(which.count) : 1.0f;
  Tensor sums = reduce_axes(memory_from(ctx), x.value(), which.reduced, Reduce::sum);
  if (mean) sums = scaled(memory_from(ctx), sums, factor);
  Tensor y = sums.view(keep ? which.kept : which.removed);
  report_traffic(ctx, op, static_cast<double>(x.value().numel() + y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x, kept = which.kept, mean, factor](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "sum.grad");
    const Tensor d = mean ? scaled(memory_from(tape), d_y, factor) : d_y;
    tape.accumulate(x, repeated(tape, d.view(kept), x.shape()));
  });
}

/// f applied along an axis that is moved to the end for it and back.
template <class F>
Var along_axis(Context& ctx, const char* op, const Var& x, int64_t axis, const F& f) {
  const int64_t at = checked_axis(op, x.shape(), axis), rank = x.value().rank();
  if (at == rank - 1) return f(x);
  std::vector<int64_t> there, back;
  for (int64_t i = 0; i < rank; ++i) {
    if (i != at) there.push_back(i);
    back.push_back(i < at ? i : i == at ? rank - 1 : i - 1);
  }
  there.push_back(at);
  return permute(ctx, f(permute(ctx, x, there)), back);
}

Var l2_normalize_rows(Context& ctx, const Var& x, float eps) {
  StageTimer timer(ctx.profile, "l2_normalize");
  const int64_t cols = x.size(-1), rows = x.shape().rows();
  Tensor y = ctx.arena.empty(x.shape());
  parallel_for_range(rows, row_grain(cols), [&](int64_t begin, int64_t end) {
    kernels::kernels().l2_norm(y.f32() + begin * cols, cols, x.value().f32() + begin * cols, cols, end - begin, cols,
                               eps);
  });
  report_traffic(ctx, "l2_normalize", 2.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x, eps, rows, cols](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "l2_normalize.grad");
    Tensor d_x = tape.empty(x.shape());
    parallel_for_range(rows, row_grain(cols), [&](int64_t begin, int64_t end) {
      const int64_t at = begin * cols;
      kernels::kernels().l2_norm_grad(d_x.f32() + at, cols, d_y.f32() + at, cols, x.value().f32() + at, cols,
                                      end - begin, cols, eps);
    });
    tape.accumulate(x, std::move(d_x));
  });
}

}  // namespace

Var sum(Context& ctx, const Var& x, const std::vector<int64_t>& axes, bool keep) {
  return scaled_sum(ctx, "sum", x, axes, keep, false);
}

Var mean(Context& ctx, const Var& x, const std::vector<int64_t>& axes, bool keep) {
  return scaled_sum(ctx, "mean", x, axes, keep, true);
}

Var amax(Context& ctx, const Var& x, const std::vector<int64_t>& axes, bool keep) {
  StageTimer timer(ctx.profile, "amax");
  const Axes which = axes_of("amax", x.shape(), axes);
  check(which.count > 0, "amax: nothing has no maximum, got ", x.shape());
  const Tensor largest = reduce_axes(memory_from(ctx), x.value(), which.reduced, Reduce::max);
  Tensor y = largest.view(keep ? which.kept : which.removed);
  report_traffic(ctx, "amax", static_cast<double>(x.value().numel() + y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x, largest, which](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "amax.grad");
    const Tensor is_largest = combined(tape, Binary::equal, x.value(), largest);
    const Tensor ties = reduce_axes(memory_from(tape), is_largest, which.reduced, Reduce::sum);
    const Tensor share = combined(tape, Binary::divide, d_y.view(which.kept), ties);
    tape.accumulate(x, combined(tape, Binary::multiply, is_largest, share));
  });
}

Var softmax(Context& ctx, const Var& x, int64_t axis) {
  return along_axis(ctx, "softmax", x, axis, [&](const Var& rows) { return softmax(ctx, rows); });
}

Var l2_normalize(Context& ctx, const Var& x, int64_t axis, float eps) {
  return along_axis(ctx, "l2_normalize", x, axis, [&](const Var& rows) { return l2_normalize_rows(ctx, rows, eps); });
}

}  // namespace vit
