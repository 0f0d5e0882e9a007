// Gradients of linear, the activations and the elementwise ops against finite differences of their plain definitions.
#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "vit/autograd/ops.h"

namespace vit {
namespace {

using test::GradientCase;
using test::Plain;
using test::random_tensor;

const PackedWeight kUnpacked;

/// What of y = residual + gamma * activation(x W^T + bias) is there.
struct LinearParts {
  bool bias = true, gamma = false, residual = false;
  Activation activation = Activation::none;
  bool residual_first = false;
};

GradientCase linear_case(const std::string& name, int64_t m, int64_t n, int64_t k, const LinearParts& parts,
                         bool oracle = true) {
  GradientCase op;
  op.name = name;
  op.inputs = {random_tensor({m, k}, 1), random_tensor({n, k}, 2)};
  const auto add = [&](bool there, const Shape& shape) {
    if (there) op.inputs.push_back(random_tensor(shape, op.inputs.size() + 1));
    return there ? static_cast<int>(op.inputs.size()) - 1 : -1;
  };
  const int bias = add(parts.bias, {n}), gamma = add(parts.gamma, {n}), residual = add(parts.residual, {m, n});
  const auto of = [](const auto& inputs, int at, const auto& otherwise) {
    return at < 0 ? otherwise : inputs[static_cast<size_t>(at)];
  };
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return linear(ctx, v[0], {v[1], kUnpacked}, of(v, bias, Var()),
                  {.activation = parts.activation,
                   .gamma = of(v, gamma, Var()),
                   .residual = of(v, residual, Var()),
                   .residual_first = parts.residual_first});
  };
  if (oracle)
    op.plain = [=](const std::vector<Plain>& v) {
      const Plain y = plain::linear<double>(v[0], v[1], of(v, bias, Plain(0.0)),
                                            parts.residual_first ? Activation::none : parts.activation,
                                            of(v, gamma, Plain(1.0)), of(v, residual, Plain(0.0)));
      return parts.residual_first ? plain::activate<double>(y, parts.activation) : y;
    };
  return op;
}

GradientCase activation_case(const std::string& name, Activation kind) {
  GradientCase op{.name = "activate_" + name, .inputs = {random_tensor({7, 19}, 10, 1.5f)}};
  op.run = [=](Context& ctx, const std::vector<Var>& v) { return activate(ctx, v[0], kind); };
  op.plain = [=](const std::vector<Plain>& v) { return plain::activate<double>(v[0], kind); };
  return op;
}

GradientCase gated_case(const std::string& name, Activation kind) {
  GradientCase op{.name = "gated_" + name, .inputs = {random_tensor({5, 2 * 17}, 11, 1.5f)}};
  op.run = [=](Context& ctx, const std::vector<Var>& v) { return gated_activation(ctx, v[0], kind); };
  op.plain = [=](const std::vector<Plain>& v) { return plain::gated_activation<double>(v[0], kind); };
  return op;
}

std::vector<GradientCase> linear_cases() {
  std::vector<GradientCase> cases = {
      linear_case("one", 1, 1, 1, {}),
      linear_case("no_bias", 5, 17, 3, {.bias = false}),
      linear_case("bias", 7, 19, 9, {}),
      linear_case("residual", 7, 5, 33, {.residual = true}),
      linear_case("gamma", 7, 19, 9, {.gamma = true}),
      linear_case("gamma_no_bias", 3, 6, 17, {.bias = false, .gamma = true}),
      linear_case("gamma_residual", 7, 18, 9, {.gamma = true, .residual = true}),
      linear_case("gelu", 7, 19, 9, {.activation = Activation::gelu}),
      linear_case("all", 6, 17, 9, {.gamma = true, .residual = true, .activation = Activation::silu}),
      linear_case("residual_first", 6, 17, 9,
                  {.gamma = true, .residual = true, .activation = Activation::silu, .residual_first = true}),
      linear_case("large", 301, 130, 70, {.gamma = true, .residual = true}, false),
      linear_case("large_gelu", 513, 67, 33, {.activation = Activation::gelu}, false),
  };
  GradientCase batch = linear_case("tokens", 6, 5, 4, {});
  batch.inputs[0] = batch.inputs[0].view({2, 3, 4});
  batch.plain = [](const std::vector<Plain>& v) {
    return plain::linear<double>(plain::reshaped<double>(v[0], {6, 4}), v[1], v[2], Activation::none, Plain(1.0),
                                 Plain(0.0));
  };
  cases.push_back(batch);
  return cases;
}

std::vector<GradientCase> activation_cases() {
  std::vector<GradientCase> cases;
  for (const auto& [name, kind] : {std::pair{"none", Activation::none}, std::pair{"relu", Activation::relu},
                                   std::pair{"gelu", Activation::gelu}, std::pair{"gelu_tanh", Activation::gelu_tanh},
                                   std::pair{"quick_gelu", Activation::quick_gelu}, std::pair{"silu", Activation::silu},
                                   std::pair{"sigmoid", Activation::sigmoid}, std::pair{"tanh", Activation::tanh}}) {
    cases.push_back(activation_case(name, kind));
    cases.push_back(gated_case(name, kind));
  }
  GradientCase softmax_op{.name = "softmax", .inputs = {random_tensor({5, 37}, 12, 2.0f)}};
  softmax_op.run = [](Context& ctx, const std::vector<Var>& v) { return softmax(ctx, v[0]); };
  softmax_op.plain = [](const std::vector<Plain>& v) { return plain::softmax<double>(v[0]); };
  cases.push_back(softmax_op);
  GradientCase large = activation_case("large", Activation::gelu), large_gated = gated_case("large", Activation::silu);
  large.inputs = {random_tensor({300, 129}, 13)};
  large_gated.inputs = {random_tensor({300, 130}, 14)};
  large.plain = large_gated.plain = nullptr;
  cases.push_back(large);
  cases.push_back(large_gated);
  return cases;
}

/// An op of one or two tensors whose plain definition is an expression.
template <class Run, class Expression>
GradientCase element_case(const std::string& name, const std::vector<Shape>& shapes, const Run& run,
                          const Expression& expression) {
  GradientCase op{.name = name};
  for (const Shape& shape : shapes) op.inputs.push_back(random_tensor(shape, 20 + op.inputs.size()));
  op.run = run;
  op.plain = [expression](const std::vector<Plain>& v) { return Plain(expression(v)); };
  return op;
}

std::vector<GradientCase> element_cases() {
  using Vars = std::vector<Var>;
  using Plains = std::vector<Plain>;
  const auto add_run = [](Context& ctx, const Vars& v) { return add(ctx, v[0], v[1]); };
  const auto scale_run = [](Context& ctx, const Vars& v) { return scale_channels(ctx, v[0], v[1]); };
  std::vector<GradientCase> cases = {
      element_case("add", {{3, 5, 7}, {3, 5, 7}}, add_run, [](const Plains& v) { return Plain(v[0] + v[1]); }),
      element_case("add_broadcast", {{3, 5, 7}, {1, 5, 7}}, add_run,
                   [](const Plains& v) { return Plain(v[0] + v[1]); }),
      element_case(
          "average", {{4, 9}, {4, 9}}, [](Context& ctx, const Vars& v) { return average(ctx, v[0], v[1]); },
          [](const Plains& v) { return Plain(0.5 * (v[0] + v[1])); }),
      element_case(
          "multiply", {{4, 9}, {4, 9}}, [](Context& ctx, const Vars& v) { return multiply(ctx, v[0], v[1]); },
          [](const Plains& v) { return Plain(v[0] * v[1]); }),
      element_case(
          "scale", {{4, 9}}, [](Context& ctx, const Vars& v) { return scale(ctx, v[0], -1.75f); },
          [](const Plains& v) { return Plain(-1.75 * v[0]); }),
      element_case("scale_channels", {{2, 5, 19}, {19}}, scale_run, [](const Plains& v) { return Plain(v[0] * v[1]); }),
      // One variable in both places: its gradient is the sum of both.
      element_case(
          "add_itself", {{4, 9}}, [](Context& ctx, const Vars& v) { return add(ctx, v[0], v[0]); },
          [](const Plains& v) { return Plain(2 * v[0]); }),
      element_case(
          "square", {{4, 9}}, [](Context& ctx, const Vars& v) { return multiply(ctx, v[0], v[0]); },
          [](const Plains& v) { return Plain(v[0] * v[0]); }),
  };
  GradientCase large =
      element_case("large_scale_channels", {{700, 65}, {65}}, scale_run, [](const Plains& v) { return v[0]; });
  GradientCase batch =
      element_case("large_add", {{200, 3, 90}, {1, 3, 90}}, add_run, [](const Plains& v) { return v[0]; });
  large.plain = batch.plain = nullptr;
  cases.push_back(large);
  cases.push_back(batch);
  return cases;
}

VITKIT_GRADIENT_TESTS(LinearGradient, linear_cases());
VITKIT_GRADIENT_TESTS(ActivationGradient, activation_cases());
VITKIT_GRADIENT_TESTS(ElementGradient, element_cases());

}  // namespace
}  // namespace vit
