#include "tests/support/model_gradients.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/gradient_check.h"
#include "vit/autograd/tape.h"
#include "vit/core/rng.h"

namespace vit::test {

namespace {

/// Gradients below this are rounding.
constexpr double kFlat = 1e-4;

/// sum(value * r) in double.
double inner_product(const Tensor& a, const Tensor& b) {
  double sum = 0.0;
  for (int64_t i = 0; i < a.numel(); ++i) sum += static_cast<double>(a.f32()[i]) * static_cast<double>(b.f32()[i]);
  return sum;
}

}  // namespace

void fill_leaves(Module& module) {
  module.visit_parameters([](const std::string& name, Parameter& parameter) {
    Tensor value = Tensor::empty(parameter.shape);
    Rng rng(3, Rng::stream_of(name));
    const bool vector = parameter.shape.rank() == 1;
    fill_normal(value, rng, vector ? 0.5f : 0.2f, vector && name.ends_with("weight") ? 1.0f : 0.0f);
    if (name.ends_with("running_var"))
      for (float& v : value.span<float>()) v = 0.5f + v * v;
    parameter.value = parameter.buffer ? Var(value) : Var::leaf(value);
  });
}

std::map<std::string, Tensor> gradients_of(Module& module, Context& ctx, const Pass& pass, const Tensor& d_output) {
  module.visit_parameters([](const std::string&, Parameter& parameter) {
    if (parameter.value.requires_grad()) parameter.value.clear_grad();
  });
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var y = pass(ctx);
  ctx.tape = nullptr;
  tape.backward(y, d_output.defined() ? d_output : Tensor::full(y.shape(), 1.0f));
  std::map<std::string, Tensor> gradients;
  module.visit_parameters([&](const std::string& name, Parameter& parameter) {
    if (parameter.value.requires_grad() && parameter.value.grad().defined())
      gradients[name] = parameter.value.grad().clone();
  });
  return gradients;
}

void expect_directional_derivatives(Module& module, const Pass& pass, double step) {
  expect_directional_derivatives(module, pass, std::vector<double>{step});
}

void expect_directional_derivatives(Module& module, const Pass& pass, const std::vector<double>& steps) {
  Context ctx;
  const Tensor r = random_tensor(pass(ctx).shape(), 2000);
  const std::map<std::string, Tensor> gradients = gradients_of(module, ctx, pass, r);
  module.visit_parameters([&](const std::string& name, Parameter& parameter) {
    if (parameter.buffer) return;
    const auto found = gradients.find(name);
    ASSERT_NE(found, gradients.end()) << name << " has no gradient";
    const double norm = std::sqrt(inner_product(found->second, found->second));
    // Where softmax does not feel a parameter (a bias of the keys) its gradient is rounding; any direction is flat.
    const bool flat = norm < kFlat;
    const Tensor along = flat ? random_tensor(parameter.shape, 2001) : found->second;
    const double length = std::sqrt(inner_product(along, along));
    const Tensor value = parameter.value.value(), start = value.clone();
    const auto at = [&](double distance) {
      for (int64_t i = 0; i < value.numel(); ++i)
        value.f32()[i] = static_cast<float>(static_cast<double>(start.f32()[i]) +
                                            distance / length * static_cast<double>(along.f32()[i]));
      return inner_product(pass(ctx).value(), r);
    };
    // Outputs of magnitude ~1 carry errors of ~1e-6; the stencil divides them by the step. The rest is its truncation.
    const double want = flat ? 0.0 : norm, tolerance = 4e-3 * norm + 1e-3;
    double best = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < steps.size() && !(std::abs(best - want) <= tolerance); ++i) {
      const double step = steps[i];
      const double slope = (8.0 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12.0 * step);
      if (!(std::abs(slope - want) >= std::abs(best - want))) best = slope;
    }
    at(0);
    EXPECT_NEAR(best, want, tolerance) << name;
  });
}

}  // namespace vit::test
