// Checks an op's gradient against its plain definition: the tape's gradient of sum(y * R), R random and fixed, against
// central differences of the same sum in double. Also: every input alone, and the same bits on any number of threads.
// One case object per op and form yields all three.
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "vit/autograd/plain.h"
#include "vit/autograd/var.h"
#include "vit/core/context.h"

namespace vit::test {

using Plain = plain::Array<double>;

struct GradientCase {
  std::string name{};
  std::vector<Tensor> inputs{};  ///< f32, each differentiable
  std::function<Var(Context&, const std::vector<Var>&)> run{};
  /// The plain definition on double copies of the inputs; any shape with run's elements. Undefined: only what needs no
  /// oracle is checked (large sizes).
  std::function<Plain(const std::vector<Plain>&)> plain{};
  int64_t terms = 64;     ///< longest sum or chain of roundings inside the op, for the tolerance
  bool training = false;  ///< Context::training
};

inline void PrintTo(const GradientCase& op, std::ostream* out) { *out << op.name; }

/// Standard normal numbers, a function of the shape and the stream.
Tensor random_tensor(const Shape& shape, uint64_t stream, float std = 1.0f, float mean = 0.0f);

/// A copy in double.
Plain wide(const Tensor& tensor);

/// Result and gradients of one pass; an undefined gradient is an input that was not asked about.
struct GradientRun {
  Tensor value;
  std::vector<Tensor> gradients;
};

/// Runs the case with R = random_tensor; `wanted` (-1: all) is the input that needs a gradient, the others are
/// constants.
GradientRun run_case(const GradientCase& op, int wanted = -1);

void expect_value_and_gradients(const GradientCase& op);
void expect_every_input_alone(const GradientCase& op);
void expect_same_bits_on_any_threads(const GradientCase& op);

bool same_bits(const Tensor& a, const Tensor& b);

}  // namespace vit::test

/// The tests of a list of cases under a suite's name.
#define VITKIT_GRADIENT_TESTS(Suite, cases)                                                         \
  class Suite : public testing::TestWithParam<::vit::test::GradientCase> {};                        \
  TEST_P(Suite, EqualFiniteDifferences) { ::vit::test::expect_value_and_gradients(GetParam()); }    \
  TEST_P(Suite, EveryInputAlone) { ::vit::test::expect_every_input_alone(GetParam()); }             \
  TEST_P(Suite, SameBitsOnAnyThreads) { ::vit::test::expect_same_bits_on_any_threads(GetParam()); } \
  INSTANTIATE_TEST_SUITE_P(All, Suite, testing::ValuesIn(cases), [](const auto& item) { return item.param.name; })
