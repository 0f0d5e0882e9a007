#include "vit/autograd/tape.h"

#include <algorithm>

namespace vit {

Var Tape::record(Tensor output, const std::vector<Var>& inputs, Backward backward) {
  const bool needed = std::any_of(inputs.begin(), inputs.end(), [](const Var& input) { return input.requires_grad(); });
  if (!needed) return Var(std::move(output));
  Var result = Var::leaf(std::move(output));
  records_.push_back({result, std::move(backward)});
  return result;
}

void Tape::accumulate(const Var& input, const Tensor& gradient) {
  if (!input.requires_grad()) return;
  check(gradient.shape() == input.shape(), "tape: a gradient ", gradient.shape(), " came for a value ", input.shape());
  Tensor& sum = *input.slot_;
  if (!sum.defined()) {
    // The gradient may be shared with another input (y = a + b), so the sum owns its memory.
    sum = gradient.clone();
    return;
  }
  float* total = sum.f32();
  const float* part = gradient.f32();
  for (int64_t i = 0; i < sum.numel(); ++i) total[i] += part[i];
}

void Tape::backward(const Var& loss) {
  check(loss.value().numel() == 1, "backward: the loss must be one number, got ", loss.shape());
  check(loss.requires_grad(), "backward: the loss depends on nothing that needs a gradient");
  accumulate(loss, Tensor::full(loss.shape(), 1.0f));
  while (!records_.empty()) {
    Record record = std::move(records_.back());
    records_.pop_back();
    if (record.output.grad().defined()) record.backward(*this, record.output.grad());
  }
}

}  // namespace vit
