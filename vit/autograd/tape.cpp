#include "vit/autograd/tape.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "vit/autograd/op_support.h"
#include "vit/core/context.h"
#include "vit/core/parallel.h"
#include "vit/kernels/kernels.h"

namespace vit {

namespace {

void add_into(Tensor& sum, const Tensor& a, const Tensor& b) {
  parallel_for_range(sum.numel(), kElementGrain, [&](int64_t begin, int64_t end) {
    kernels::kernels().add(sum.f32() + begin, a.f32() + begin, b.f32() + begin, end - begin);
  });
}

}  // namespace

Tape::Tape(const Context& ctx) : arena_(ctx.arena), costs_(ctx.costs), profile_(ctx.profile) {}

Tensor Tape::zeros(const Shape& shape) {
  Tensor tensor = empty(shape);
  std::memset(tensor.raw(), 0, static_cast<size_t>(tensor.nbytes()));
  return tensor;
}

void Tape::report_product(std::string_view op, double m, double n, double k) const {
  if (costs_) costs_->add_cost("backward", op, 2.0 * m * n * k, 4.0 * (m * k + k * n + m * n));
}

Var Tape::record(Tensor output, const std::vector<Var>& inputs, Backward backward) {
  const bool needed = std::any_of(inputs.begin(), inputs.end(), [](const Var& input) { return input.requires_grad(); });
  if (!needed) return Var(std::move(output));
  Var result = Var::leaf(std::move(output));
  records_.push_back({result, std::move(backward)});
  return result;
}

void Tape::accumulate(const Var& input, Tensor gradient) {
  if (!input.requires_grad()) return;
  check(gradient.shape() == input.shape(), "tape: a gradient ", gradient.shape(), " came for a value ", input.shape());
  Tensor& sum = *input.slot_;
  if (!sum.defined()) {
    sum = std::move(gradient);
  } else if (sum.unique()) {
    add_into(sum, sum, gradient);
  } else {  // another variable has the same gradient (y = a + b): it must not see this sum
    Tensor total = empty(sum.shape());
    add_into(total, sum, gradient);
    sum = std::move(total);
  }
}

void Tape::backward(const Var& loss) {
  check(loss.value().numel() == 1, "backward: the loss must be one number, got ", loss.shape());
  backward(loss, Tensor::full(loss.shape(), 1.0f));
}

void Tape::backward(const Var& output, Tensor d_output) {
  check(output.requires_grad(), "backward: the loss depends on nothing that needs a gradient");
  accumulate(output, std::move(d_output));
  while (!records_.empty()) {
    Record record = std::move(records_.back());
    records_.pop_back();
    if (!record.output.grad().defined()) continue;
    const Tensor d_record = record.output.grad();
    record.output.clear_grad();  // whoever shares it may then add to it in place
    record.backward(*this, d_record);
  }
}

}  // namespace vit
