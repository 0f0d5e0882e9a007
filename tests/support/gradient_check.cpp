#include "tests/support/gradient_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/support/tolerance.h"
#include "vit/autograd/tape.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/core/xt.h"

namespace vit::test {

namespace {

constexpr uint64_t kOutputStream = 1000;

/// The step of the differences: their truncation (h^2) and their rounding (eps / h) are both far below f32's.
constexpr double kStep = 1e-5;

double weighted_sum(const Plain& y, const Tensor& r) {
  EXPECT_EQ(y.size(), static_cast<size_t>(r.numel()));
  double sum = 0.0;
  for (size_t i = 0; i < y.size(); ++i) sum += y.flat(i) * static_cast<double>(r.f32()[i]);
  return sum;
}

std::vector<double> central_differences(const GradientCase& op, std::vector<Plain> inputs, size_t which,
                                        const Tensor& r) {
  std::vector<double> gradient;
  for (size_t i = 0; i < inputs[which].size(); ++i) {
    const double at = inputs[which].flat(i);
    inputs[which].flat(i) = at + kStep;
    const double above = weighted_sum(op.plain(inputs), r);
    inputs[which].flat(i) = at - kStep;
    const double below = weighted_sum(op.plain(inputs), r);
    inputs[which].flat(i) = at;
    gradient.push_back((above - below) / (2 * kStep));
  }
  return gradient;
}

}  // namespace

Tensor random_tensor(const Shape& shape, uint64_t stream, float std, float mean) {
  Tensor tensor = Tensor::empty(shape);
  Rng rng(1, stream);
  fill_normal(tensor, rng, std, mean);
  return tensor;
}

Plain wide(const Tensor& tensor) { return Plain(xt::cast<double>(xt_view<float>(tensor))); }

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined()) return false;
  return !a.defined() ||
         (a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.nbytes())) == 0);
}

GradientRun run_case(const GradientCase& op, int wanted) {
  Context ctx;
  ctx.training = op.training;
  Tape tape(ctx);
  ctx.tape = &tape;
  std::vector<Var> inputs;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    // Copies: the buffers of a case are shared by its tests, and a context's arena recycles memory.
    const Tensor copy = op.inputs[i].clone();
    inputs.push_back(wanted < 0 || static_cast<size_t>(wanted) == i ? Var::leaf(copy) : Var(copy));
  }
  const Var y = op.run(ctx, inputs);
  const Tensor value = y.value().clone();
  tape.backward(y, random_tensor(y.shape(), kOutputStream));
  for (size_t i = 0; i < inputs.size(); ++i)
    EXPECT_TRUE(same_bits(inputs[i].value(), op.inputs[i])) << "input " << i << " was changed";
  EXPECT_TRUE(same_bits(y.value(), value)) << "the output was changed";
  GradientRun result{value, {}};
  for (const Var& input : inputs) result.gradients.push_back(input.requires_grad() ? input.grad() : Tensor());
  return result;
}

void expect_value_and_gradients(const GradientCase& op) {
  if (!op.plain) return;
  const GradientRun got = run_case(op);
  std::vector<Plain> inputs;
  for (const Tensor& input : op.inputs) inputs.push_back(wide(input));
  const double tolerance = rounding_tolerance(op.terms, 1.0);
  const Plain want = op.plain(inputs);
  ASSERT_EQ(want.size(), static_cast<size_t>(got.value.numel()));
  EXPECT_LE(relative_l2(got.value.f32(), want.storage().data(), got.value.numel()), tolerance) << "value";
  const Tensor r = random_tensor(got.value.shape(), kOutputStream);
  for (size_t i = 0; i < inputs.size(); ++i) {
    ASSERT_TRUE(got.gradients[i].defined()) << "input " << i << " has no gradient";
    ASSERT_EQ(got.gradients[i].shape(), op.inputs[i].shape());
    const std::vector<double> differences = central_differences(op, inputs, i, r);
    EXPECT_LE(relative_l2(got.gradients[i].f32(), differences.data(), got.gradients[i].numel()), tolerance)
        << "gradient of input " << i;
  }
}

void expect_every_input_alone(const GradientCase& op) {
  const GradientRun all = run_case(op);
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const GradientRun alone = run_case(op, static_cast<int>(i));
    EXPECT_TRUE(same_bits(alone.value, all.value));
    EXPECT_TRUE(same_bits(alone.gradients[i], all.gradients[i])) << "gradient of input " << i;
  }
}

void expect_same_bits_on_any_threads(const GradientCase& op) {
  set_num_threads(1);
  const GradientRun one = run_case(op);
  for (const int threads : {2, 8}) {
    set_num_threads(threads);
    const GradientRun many = run_case(op);
    EXPECT_TRUE(same_bits(one.value, many.value)) << threads << " threads";
    for (size_t i = 0; i < one.gradients.size(); ++i)
      EXPECT_TRUE(same_bits(one.gradients[i], many.gradients[i]))
          << "gradient of input " << i << ", " << threads << " threads";
  }
  set_num_threads(0);
}

}  // namespace vit::test
