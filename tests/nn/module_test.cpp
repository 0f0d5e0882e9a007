#include "vit/nn/module.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "vit/attention/self.h"
#include "vit/core/config.h"
#include "vit/core/rng.h"
#include "vit/nn/block.h"

namespace vit {
namespace {

struct Leaf : Module {
  Leaf() {
    add_parameter("weight", weight, {2, 3}, Init::ones());
    add_parameter("running_mean", mean, {2}, Init::zeros());
    mean.buffer = true;
  }
  void prepare() override { ++prepared; }
  Parameter weight, mean;
  int prepared = 0;
};

struct Tree : Module {
  Tree() {
    add_parameter("token", token, {1, 4}, Init::zeros());
    add_module("leaf", leaf);
    add_module("", inlined);
  }
  Parameter token;
  Leaf leaf, inlined;
};

TEST(Module, VisitsParametersByTheirFullNamesInOrder) {
  Tree tree;
  std::vector<std::string> names;
  tree.visit_parameters([&](const std::string& name, Parameter&) { names.push_back(name); });
  EXPECT_EQ(names, (std::vector<std::string>{"token", "leaf.weight", "leaf.running_mean", "weight", "running_mean"}));
  EXPECT_EQ(tree.parameter_count(), 4 + 6 + 6);
}

TEST(Linear, PackingDropsThePlainWeightAndKeepsTheResult) {
  Linear linear(5, 7);
  linear.visit_parameters([](const std::string& name, Parameter& parameter) {
    Tensor value = Tensor::empty(parameter.shape);
    Rng rng(1, Rng::stream_of(name));
    fill_normal(value, rng, 1.0f);
    parameter.value = Var(value);
  });
  Context ctx;
  const Var x = Tensor::full({2, 5}, 0.5f);
  const Tensor before = linear.forward(ctx, x).value().clone();
  linear.prepare();
  linear.visit_parameters(
      [](const std::string& name, Parameter& parameter) { EXPECT_EQ(parameter.value.defined(), name == "bias"); });
  const Tensor after = linear.forward(ctx, x).value();
  for (int64_t i = 0; i < before.numel(); ++i) EXPECT_EQ(before.f32()[i], after.f32()[i]);
}

TEST(Norm, IdentityHasNoParametersAndChangesNothing) {
  Norm norm(NormKind::identity, 4, 1e-6f);
  EXPECT_EQ(norm.parameter_count(), 0);
  Context ctx;
  const Var x = Tensor::full({2, 4}, 0.5f);
  EXPECT_EQ(norm.forward(ctx, x).value().raw(), x.value().raw());
}

TEST(Attention, OptionsComeFromItsOwnNode) {
  const auto& factory = attention_registry().find("self").make;
  const auto plain = factory({12, 3}, ConfigNode());
  const auto normed = factory({12, 3}, ConfigNode::parse("{qkv_bias: false, qk_norm: layernorm}", "options"));
  EXPECT_EQ(plain->parameter_count(), 36 * 12 + 36 + 12 * 12 + 12);
  EXPECT_EQ(normed->parameter_count(), 36 * 12 + 12 * 12 + 12 + 2 * 2 * 4);
  EXPECT_THAT(test::usage_error([&] {
                factory({12, 3}, ConfigNode::parse("{qkv_bais: true}", "options"));
              }),
              testing::HasSubstr("qkv_bias"));
  EXPECT_THAT(test::usage_error([&] { factory({12, 5}, ConfigNode()); }), testing::HasSubstr("num_heads 5"));
}

TEST(Block, WantedTokensAreTheFirstOfAll) {
  Block block({.dim = 12, .init_values = 0.5f, .mlp = {.dim = 12, .hidden = 20}},
              attention_registry().find("self").make({12, 3}, ConfigNode()));
  block.visit_parameters([](const std::string& name, Parameter& parameter) {
    Tensor value = Tensor::empty(parameter.shape);
    Rng rng(1, Rng::stream_of(name));
    fill_normal(value, rng, 0.5f);
    parameter.value = Var(value);
  });
  Context ctx;
  Tensor x = Tensor::empty({2, 9, 12});
  Rng rng(2);
  fill_normal(x, rng, 1.0f);
  const Tensor all = block.forward(ctx, x, {}).value();
  const Tensor some = block.forward(ctx, x, {.wanted_tokens = 2}).value();
  ASSERT_EQ(some.shape(), (Shape{2, 2, 12}));
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t i = 0; i < 24; ++i) EXPECT_NEAR(some.f32()[b * 24 + i], all.f32()[b * 108 + i], 1e-5f);
}

}  // namespace
}  // namespace vit
