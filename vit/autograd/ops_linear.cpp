#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"
#include "vit/autograd/products.h"

namespace vit {

namespace {

Shape with_last(const Shape& shape, int64_t last) {
  std::vector<int64_t> extents(shape.begin(), shape.end());
  extents.back() = last;
  return Shape(extents);
}

/// What the gradient of y = residual + gamma * (x W^T + b) needs.
struct LinearRecord {
  Var x, weight, bias, gamma, residual;
  int64_t m, n, k;

  void operator()(Tape& tape, const Tensor& d_y) const {
    StageTimer timer(tape.profile(), "linear.grad");
    if (residual.defined()) tape.accumulate(residual, d_y);
    const bool scaled = gamma.defined() && gamma.requires_grad();
    const bool of_weight = weight.requires_grad() || scaled;
    const Tensor d_sum = bias.requires_grad() || (scaled && bias.defined()) ? column_sums(tape, d_y, m, n) : Tensor();
    if (of_weight) {
      Tensor d_weight = tape.empty({n, k});
      weight_gradient(tape, d_y.f32(), n, x.value().f32(), d_weight.f32(), m, n, k, false);
      if (scaled) tape.accumulate(gamma, gamma_gradient(tape, d_weight, d_sum));
      if (gamma.defined()) scale_rows(d_weight);
      if (weight.requires_grad()) tape.accumulate(weight, d_weight.view(weight.shape()));
    }
    if (bias.requires_grad()) tape.accumulate(bias, bias_gradient(tape, d_sum));
    if (x.requires_grad()) {
      Tensor d_x = tape.empty(x.shape());
      input_gradient(tape, d_y.f32(), weight.value(), floats_or_null(gamma), d_x.f32(), m, n, k);
      tape.accumulate(x, std::move(d_x));
    }
  }

 private:
  /// d_gamma_j = sum_i d_y_ij (x W^T + b)_ij. With S = d_y^T x that is sum_c W_jc S_jc + b_j sum_i d_y_ij: the product
  /// x W^T is not needed again.
  Tensor gamma_gradient(Tape& tape, const Tensor& s, const Tensor& d_sum) const {
    Tensor d_gamma = tape.empty({n});
    for (int64_t j = 0; j < n; ++j) {
      double sum = bias.defined() ? static_cast<double>(bias.value().f32()[j]) * d_sum.f32()[j] : 0.0;
      const float *w = weight.value().f32() + j * k, *s_j = s.f32() + j * k;
      for (int64_t c = 0; c < k; ++c) sum += static_cast<double>(w[c]) * s_j[c];
      d_gamma.f32()[j] = static_cast<float>(sum);
    }
    return d_gamma;
  }

  void scale_rows(Tensor& d_weight) const {
    for (int64_t j = 0; j < n; ++j)
      kernels::kernels().scale(d_weight.f32() + j * k, d_weight.f32() + j * k, gamma.value().f32()[j], k);
  }

  Tensor bias_gradient(Tape& tape, const Tensor& d_sum) const {
    if (!gamma.defined()) return d_sum;
    Tensor d_bias = tape.empty({n});
    kernels::kernels().multiply(d_bias.f32(), d_sum.f32(), gamma.value().f32(), n);
    return d_bias;
  }
};

}  // namespace

Var linear(Context& ctx, const Var& x, const Weight& weight, const Var& bias, const LinearOptions& options) {
  const bool recorded = recording(ctx, {&x, &weight.plain, &bias, &options.gamma, &options.residual});
  if (recorded && options.residual_first && options.activation != Activation::none) {
    LinearOptions before = options;
    before.activation = Activation::none;
    return activate(ctx, linear(ctx, x, weight, bias, before), options.activation);
  }
  if (recorded && options.activation != Activation::none) {
    // The gradient reads what the activation read, so it is kept: the fused form does not have it.
    Var y = activate(ctx, linear(ctx, x, weight, bias), options.activation);
    if (options.gamma.defined()) y = scale_channels(ctx, y, options.gamma);
    return options.residual.defined() ? add(ctx, y, options.residual) : y;
  }
  StageTimer timer(ctx.profile, "linear");
  check(x.value().rank() >= 1, "linear: x must have channels");
  const PackedWeight packed = packed_for_call(ctx, "linear", weight);
  const int64_t m = x.shape().rows(), n = packed.outputs(), k = packed.inputs();
  check(x.size(-1) == k, "linear: x ", x.shape(), " does not match a weight [", n, ", ", k, "]");
  const Shape shape = with_last(x.shape(), n);
  check(!options.residual.defined() || options.residual.shape() == shape, "linear: residual must be ", shape, ", got ",
        options.residual.shape());

  Tensor y = result_memory(ctx, shape, options.residual, options.overwrite_residual && !recorded);
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
                   .residual_stride = n,
                   .residual_first = options.residual_first}};
  const auto grid = kernels::gemm_grid(table, m, n, k, num_threads());
  parallel_for(grid.parts(), [&](int64_t part) { table.gemm(args, kernels::gemm_part(table, grid, m, n, part)); });
  report_product(ctx, "linear", static_cast<double>(m), static_cast<double>(n), static_cast<double>(k));
  if (!recorded) return y;
  check(weight.plain.defined(), "linear: a gradient needs the plain weight, and this model was prepared for inference");
  return ctx.tape->record(std::move(y), {x, weight.plain, bias, options.gamma, options.residual},
                          LinearRecord{x, weight.plain, bias, options.gamma, options.residual, m, n, k});
}

}  // namespace vit
