// Products of batches of matrices.
#include <utility>

#include "vit/autograd/batched_product.h"
#include "vit/autograd/op_support.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

/// The axes before the last two.
Shape batch_of(const Shape& shape) { return Shape(shape.begin(), shape.end() - 2); }

Shape joined(const Shape& batch, int64_t rows, int64_t cols) {
  std::vector<int64_t> extents(batch.begin(), batch.end());
  extents.insert(extents.end(), {rows, cols});
  return Shape(extents);
}

/// Where each matrix of x lies when its batch is broadcast to `batch`.
std::vector<int64_t> offsets_of(const Shape& of, const Shape& batch) {
  const Strides strides = broadcast_strides(batch_of(of), batch);
  const int64_t count = batch.numel(), size = of[-2] * of[-1];
  std::vector<int64_t> offsets(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i, at = 0;
    for (int axis = batch.rank() - 1; axis >= 0; --axis) {
      at += rest % batch[axis] * strides[static_cast<size_t>(axis)];
      rest /= batch[axis];
    }
    offsets[static_cast<size_t>(i)] = at * size;
  }
  return offsets;
}

/// One factor as its user means it.
struct Factor {
  const Tensor& tensor;
  bool transposed = false;

  int64_t rows() const { return tensor.size(transposed ? -1 : -2); }
  int64_t cols() const { return tensor.size(transposed ? -2 : -1); }
  MatrixBatch over(const Shape& batch) const {
    return {tensor.f32(), transposed, tensor.size(-1), offsets_of(tensor.shape(), batch)};
  }
};

/// A tensor's batch as rows of one matrix: [..., M, K] -> [... * M, K]
Tensor folded(const Tensor& x) { return x.view({x.shape().rows(), x.size(-1)}); }

/// scale * a b with the batches broadcast.
Tensor product(const Memory& memory, Factor a, Factor b, float scale) {
  const Shape batch =
      broadcast_shape("matmul (axes before the last two)", batch_of(a.tensor.shape()), batch_of(b.tensor.shape()));
  Tensor c = memory(joined(batch, a.rows(), b.cols()));
  if (!a.transposed && batch_of(b.tensor.shape()).numel() == 1 && batch_of(a.tensor.shape()).numel() == batch.numel()) {
    // One right factor for all: one product of all rows.
    const Shape none;
    const Tensor rows = folded(a.tensor);
    const MatrixBatch one{b.tensor.f32(), b.transposed, b.tensor.size(-1), {0}};
    batched_product(memory, c.f32(), Factor{rows}.over(none), one, rows.size(0), b.cols(), a.cols(), scale);
  } else {
    batched_product(memory, c.f32(), a.over(batch), b.over(batch), a.rows(), b.cols(), a.cols(), scale);
  }
  return c;
}

/// What the gradient of c = scale * A B needs, A and B being a and b or their transposes.
struct MatmulRecord {
  Var a, b;
  MatmulOptions options;

  void operator()(Tape& tape, const Tensor& d_c) const {
    StageTimer timer(tape.profile(), "matmul.grad");
    const Memory memory = [&](const Shape& shape) { return tape.empty(shape); };
    const int64_t k = a.size(options.transpose_a ? -2 : -1);
    const auto report = [&] {
      tape.report_product("matmul", static_cast<double>(d_c.numel()), static_cast<double>(k), 1.0);
    };
    if (a.requires_grad()) {
      tape.accumulate(a, sum_to_shape(memory, gradient_of_a(memory, d_c), a.shape()));
      report();
    }
    if (b.requires_grad()) {
      tape.accumulate(b, sum_to_shape(memory, gradient_of_b(memory, d_c), b.shape()));
      report();
    }
  }

 private:
  Tensor gradient_of_a(const Memory& memory, const Tensor& d_c) const {
    if (options.transpose_a)  // d_A^T = B d_C^T
      return product(memory, {b.value(), options.transpose_b}, {d_c, true}, options.scale);
    return product(memory, {d_c}, {b.value(), !options.transpose_b}, options.scale);  // d_A = d_C B^T
  }
  Tensor gradient_of_b(const Memory& memory, const Tensor& d_c) const {
    const bool one = batch_of(b.shape()).numel() == 1 && !options.transpose_a &&
                     batch_of(a.shape()).numel() == batch_of(d_c.shape()).numel();
    // One right factor for all: its gradient is the sum over all rows, one product.
    const Tensor left = one ? folded(a.value()) : a.value(), d = one ? folded(d_c) : d_c;
    const Tensor d_b = options.transpose_b  // d_B^T = d_C^T A
                           ? product(memory, {d, true}, {left, options.transpose_a}, options.scale)
                           : product(memory, {left, !options.transpose_a}, {d}, options.scale);  // d_B = A^T d_C
    return one ? d_b.view(b.shape()) : d_b;
  }
};

}  // namespace

Var matmul(Context& ctx, const Var& a, const Var& b, const MatmulOptions& options) {
  StageTimer timer(ctx.profile, "matmul");
  check(a.value().rank() >= 2 && b.value().rank() >= 2, "matmul: expected matrices [..., M, K] and [..., K, N], got ",
        a.shape(), " and ", b.shape());
  const Factor left{a.value(), options.transpose_a}, right{b.value(), options.transpose_b};
  check(left.cols() == right.rows(), "matmul: ", a.shape(), options.transpose_a ? " (transposed)" : "", " and ",
        b.shape(), options.transpose_b ? " (transposed)" : "", " do not match: ", left.cols(), " columns, ",
        right.rows(), " rows");
  Tensor c = product([&](const Shape& shape) { return ctx.arena.empty(shape); }, left, right, options.scale);
  if (ctx.costs)
    ctx.costs->add_cost(ctx.scope(), "matmul", 2.0 * static_cast<double>(c.numel()) * static_cast<double>(left.cols()),
                        4.0 * static_cast<double>(a.value().numel() + b.value().numel() + c.numel()));
  if (!recording(ctx, {&a, &b})) return c;
  return ctx.tape->record(std::move(c), {a, b}, MatmulRecord{a, b, options});
}

}  // namespace vit
