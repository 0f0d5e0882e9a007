#include "vit/nn/batch_norm.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"

namespace vit {
namespace {

using test::random_tensor;
using test::same_bits;

std::map<std::string, bool> buffers(Module& module) {
  std::map<std::string, bool> all;
  module.visit_parameters([&](const std::string& name, Parameter& parameter) { all[name] = parameter.buffer; });
  return all;
}

TEST(BatchNorm, HasTorchsParametersAndBuffers) {
  BatchNorm norm(6);
  EXPECT_EQ(buffers(norm), (std::map<std::string, bool>{
                               {"weight", false}, {"bias", false}, {"running_mean", true}, {"running_var", true}}));
  EXPECT_EQ(norm.parameter_count(), 12);
}

TEST(BatchNorm, TrainingMovesTheBuffersAndInferenceUsesThem) {
  BatchNorm norm(6);
  test::fill_leaves(norm);
  std::map<std::string, Tensor> state;
  norm.visit_parameters([&](const std::string& name, Parameter& p) { state[name] = p.value.value(); });
  const std::map<std::string, Tensor> before = {{"mean", state["running_mean"].clone()},
                                                {"var", state["running_var"].clone()}};
  const Tensor x = random_tensor({2, 4, 4, 6}, 1, 2.0f, 3.0f);
  Context ctx;
  const Tensor first = norm.forward(ctx, x).value().clone();
  EXPECT_TRUE(same_bits(state["running_mean"], before.at("mean")));
  ctx.training = true;
  for (int step = 0; step < 200; ++step) norm.forward(ctx, x);
  EXPECT_FALSE(same_bits(state["running_mean"], before.at("mean")));
  EXPECT_FALSE(same_bits(state["running_var"], before.at("var")));
  const Tensor trained = norm.forward(ctx, x).value().clone();
  ctx.training = false;
  const Tensor inferred = norm.forward(ctx, x).value();
  EXPECT_FALSE(same_bits(first, inferred));
  // After many steps on one batch the running statistics are its own, but for n / (n - 1) of the variance.
  for (int64_t i = 0; i < x.numel(); ++i) EXPECT_NEAR(trained.f32()[i], inferred.f32()[i], 0.2f);
}

TEST(BatchNorm, FrozenItKeepsItsStatistics) {
  BatchNorm norm(6);
  test::fill_leaves(norm);
  norm.visit_parameters([](const std::string&, Parameter& p) { p.value = Var(p.value.value()); });
  const Tensor x = random_tensor({2, 4, 4, 6}, 1, 2.0f, 3.0f);
  Context ctx;
  const Tensor inferred = norm.forward(ctx, x).value().clone();
  ctx.training = true;
  norm.forward(ctx, x);
  EXPECT_TRUE(same_bits(norm.forward(ctx, x).value(), inferred));
  EXPECT_TRUE(ctx.training);
}

TEST(GroupNorm, DoesNotMixSamples) {
  GroupNorm norm(3, 6);
  test::fill_leaves(norm);
  EXPECT_EQ(buffers(norm), (std::map<std::string, bool>{{"weight", false}, {"bias", false}}));
  const Tensor x = random_tensor({3, 4, 4, 6}, 2);
  Context ctx;
  const Tensor together = norm.forward(ctx, x).value();
  for (int64_t b = 0; b < 3; ++b)
    EXPECT_TRUE(same_bits(together.slice(b, b + 1), norm.forward(ctx, x.slice(b, b + 1)).value()));
  EXPECT_THAT(test::usage_error([] { GroupNorm(4, 6); }), testing::HasSubstr("6 channels cannot be divided into 4"));
}

}  // namespace
}  // namespace vit
