#include "tests/support/mechanism_check.h"

#include <gtest/gtest.h>

#include "tests/support/model_gradients.h"
#include "tests/support/tolerance.h"

namespace vit::test {

namespace {

/// A chain as long as a layer's: projection, scores, softmax, mixing, projection.
constexpr int64_t kOperations = 400;

struct OneValue : Observer {
  explicit OneValue(std::string wanted) : name(std::move(wanted)) {}
  bool wants(const std::string& asked) override { return asked == name; }
  void observe(const std::string&, const Tensor& seen) override { value = seen.clone(); }
  std::string name;
  Tensor value;
};

}  // namespace

MechanismCheck::MechanismCheck(const std::string& options, const AttentionShape& shape, int64_t batch, int64_t tokens)
    : input_{.grid = shape.grid, .prefix_tokens = shape.prefix_tokens},
      attention_(build_attention(ConfigNode::parse(options, "test"), shape)),
      steps_{0.02} {
  if (!attention_registry().find(split_type(ConfigNode::parse(options, "test")).type).traits.smooth)
    steps_ = {0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 5e-5};
  const int64_t count = shape.grid.count() > 0 ? shape.grid.count() : tokens;
  add_parameter("x", x_, {batch, shape.prefix_tokens + count, shape.dim}, Init::normal(1.0f));
  add_module("attn", *attention_);
  if (shape.memory_dim > 0) {
    input_.memory_grids = {{3, 2}, {1, 3}};
    add_parameter("memory", memory_, {batch, 9, shape.memory_dim}, Init::normal(1.0f));
  }
  fill_leaves(*this);
  // Mechanisms with corners start from where none is so near that f32 cannot tell its sides apart.
  x_.value = Var::leaf(random_tensor(x_.shape, steps_.size() > 1 ? 79 : 77));
  if (shape.memory_dim > 0) input_.memory = memory_.value = Var::leaf(random_tensor(memory_.shape, 78));
}

Plain MechanismCheck::parameter(const std::string& name) {
  Plain found;
  bool any = false;
  attention_->visit_parameters([&](const std::string& each, Parameter& parameter) {
    if (each != name) return;
    found = wide(parameter.value.value());
    any = true;
  });
  EXPECT_TRUE(any) << "no parameter " << name;
  return found;
}

bool MechanismCheck::has_parameter(const std::string& name) {
  bool any = false;
  attention_->visit_parameters([&](const std::string& each, Parameter&) { any = any || each == name; });
  return any;
}

void MechanismCheck::set_parameter(const std::string& name, const Tensor& value) {
  ASSERT_TRUE(has_parameter(name)) << name;
  attention_->visit_parameters([&](const std::string& each, Parameter& parameter) {
    if (each != name) return;
    ASSERT_EQ(parameter.shape, value.shape()) << name;
    parameter.value = Var::leaf(value.clone());
  });
}

Plain MechanismCheck::linear(const Plain& x, const std::string& layer) {
  const Plain weight = parameter(layer + ".weight");
  const Plain bias = has_parameter(layer + ".bias") ? parameter(layer + ".bias") : Plain(0.0);
  const Plain rows = plain::reshaped<double>(x, {x.shape(0) * x.shape(1), x.shape(2)});
  const Plain y = plain::linear<double>(rows, weight, bias, Activation::none, Plain(1.0), Plain(0.0));
  return plain::reshaped<double>(y, {x.shape(0), x.shape(1), weight.shape(0)});
}

Tensor MechanismCheck::run() const {
  Context ctx;
  return attention_->forward(ctx, x().clone(), input_).value().clone();
}

Tensor MechanismCheck::observed(const std::string& name) const {
  OneValue observer(name);
  Context ctx;
  ctx.observer = &observer;
  attention_->forward(ctx, x().clone(), input_);
  return observer.value;
}

void MechanismCheck::expect_slopes() {
  expect_directional_derivatives(
      *this, [&](Context& ctx) { return forward(ctx); }, steps_);
}

void MechanismCheck::expect_prepared_equals_plain() {
  const Tensor plain = run();
  attention_->visit_modules([](const std::string&, Module& module) { module.prepare(); });
  expect_near(run(), plain, "prepared");
}

void expect_near(const Tensor& got, const Plain& want, const std::string& what) {
  ASSERT_EQ(static_cast<size_t>(got.numel()), want.size()) << what;
  EXPECT_LE(relative_l2(got.f32(), want.storage().data(), got.numel()), rounding_tolerance(kOperations, 1.0)) << what;
}

void expect_near(const Tensor& got, const Tensor& want, const std::string& what) {
  ASSERT_EQ(got.shape(), want.shape()) << what;
  EXPECT_LE(relative_l2(got.f32(), want.f32(), got.numel()), rounding_tolerance(kOperations, 1.0)) << what;
}

void copy_parameters(MechanismCheck& from, MechanismCheck& to) {
  std::map<std::string, Tensor> values;
  from.mechanism().visit_parameters(
      [&](const std::string& name, Parameter& parameter) { values[name] = parameter.value.value(); });
  to.mechanism().visit_parameters([&](const std::string& name, Parameter& parameter) {
    const auto found = values.find(name);
    if (found != values.end() && found->second.shape() == parameter.shape)
      parameter.value = Var::leaf(found->second.clone());
  });
}

}  // namespace vit::test
