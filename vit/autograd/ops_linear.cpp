#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"

namespace vit {

namespace {

Shape with_last(const Shape& shape, int64_t last) {
  std::vector<int64_t> extents(shape.begin(), shape.end());
  extents.back() = last;
  return Shape(extents);
}

}  // namespace

Var linear(Context& ctx, const Var& x, const Weight& weight, const Var& bias, const LinearOptions& options) {
  StageTimer timer(ctx.profile, "linear");
  require_no_gradient(ctx, "linear", {&x, &weight.plain, &bias, &options.gamma, &options.residual});
  check(x.value().rank() >= 1, "linear: x must have channels");
  const PackedWeight packed = packed_for_call(ctx, "linear", weight);
  const int64_t m = x.shape().rows(), n = packed.outputs(), k = packed.inputs();
  check(x.size(-1) == k, "linear: x ", x.shape(), " does not match a weight [", n, ", ", k, "]");
  const Shape shape = with_last(x.shape(), n);
  check(!options.residual.defined() || options.residual.shape() == shape, "linear: residual must be ", shape, ", got ",
        options.residual.shape());

  Tensor y = ctx.arena.empty(shape);
  const auto& table = kernels::kernels();
  const kernels::GemmArgs args{
      .c = y.f32(),
      .c_stride = n,
      .a = x.value().f32(),
      .a_stride = k,
      .b = packed.panels(),
      .n = n,
      .k = k,
      .epilogue = {.bias = vector_or_null("linear", "bias", bias, n),
                   .activation = options.activation,
                   .gamma = vector_or_null("linear", "gamma", options.gamma, n),
                   .residual = options.residual.defined() ? options.residual.value().f32() : nullptr,
                   .residual_stride = n}};
  const auto grid = kernels::gemm_grid(table, m, n, k, num_threads());
  parallel_for(grid.parts(), [&](int64_t part) { table.gemm(args, kernels::gemm_part(table, grid, m, n, part)); });
  report_product(ctx, "linear", static_cast<double>(m), static_cast<double>(n), static_cast<double>(k));
  return y;
}

}  // namespace vit
