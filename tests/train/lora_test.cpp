#include "vit/train/lora.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "tests/support/errors.h"
#include "tests/support/tolerance.h"
#include "vit/autograd/losses.h"
#include "vit/autograd/tape.h"
#include "vit/core/rng.h"
#include "vit/models/load.h"
#include "vit/models/vit.h"

namespace vit {
namespace {

using test::usage_error;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor normal(const Shape& shape, uint64_t seed, float std = 1.0f) {
  Tensor tensor = Tensor::empty(shape);
  Rng rng(seed);
  fill_normal(tensor, rng, std);
  return tensor;
}

/// Values for every parameter, B of adapters included.
void fill(Module& module) {
  module.visit_parameters([](const std::string& name, Parameter& parameter) {
    parameter.value = normal(parameter.shape, Rng::stream_of(name), 0.2f);
  });
}

using Values = std::vector<std::pair<std::string, Tensor>>;

Values values_of(Module& module) {
  Values values;
  module.visit_parameters(
      [&](const std::string& name, Parameter& parameter) { values.emplace_back(name, parameter.value.value()); });
  return values;
}

void set_values(Module& module, const Values& values) {
  module.visit_parameters([&](const std::string& name, Parameter& parameter) {
    for (const auto& [known, value] : values)
      if (known == name) parameter.value = value;
  });
}

class AdaptedLinear : public testing::Test {
 protected:
  AdaptedLinear() {
    adapted_.add_lora({.rank = 3, .alpha = 6.0f});
    fill(adapted_);
    const Values merged = merge_lora(adapted_, values_of(adapted_));
    EXPECT_EQ(merged.size(), 2u);
    set_values(plain_, merged);
  }
  void expect_equal(const LinearOptions& options) {
    Context ctx;
    const Tensor found = adapted_.forward(ctx, x_, options).value(),
                 expected = plain_.forward(ctx, x_, options).value();
    ASSERT_EQ(found.shape(), expected.shape());
    EXPECT_LT(test::relative_l2(found.f32(), expected.f32(), found.numel()), 1e-6);
  }
  Linear adapted_{20, 12}, plain_{20, 12};
  const Tensor x_ = normal({2, 5, 20}, 1);
};

TEST_F(AdaptedLinear, EqualsItsMergedForm) {
  expect_equal({});
  expect_equal({.activation = Activation::gelu});
  expect_equal({.residual = normal({2, 5, 12}, 2)});
  expect_equal({.gamma = normal({12}, 3), .residual = normal({2, 5, 12}, 2)});
  adapted_.prepare();
  expect_equal({.activation = Activation::gelu, .residual = normal({2, 5, 12}, 2)});
}

TEST_F(AdaptedLinear, GradientsAreThoseOfFiniteDifferences) {
  std::map<std::string, Parameter*> parameters;
  adapted_.visit_parameters([&](const std::string& name, Parameter& parameter) { parameters[name] = &parameter; });
  for (const char* name : {"lora_a", "lora_b"})
    parameters.at(name)->value = Var::leaf(parameters.at(name)->value.value());
  const Tensor targets = Tensor::from<int64_t>({3, 0, 11, 7, 5}, {5});
  const auto loss = [&](Context& ctx) {
    const Var y = adapted_.forward(ctx, x_.slice(0, 1).view({5, 20}), {.activation = Activation::gelu});
    return cross_entropy(ctx, y, targets, {});
  };
  Context ctx;
  ctx.training = true;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var value = loss(ctx);
  ctx.tape = nullptr;
  tape.backward(value);
  EXPECT_FALSE(parameters.at("weight")->value.requires_grad());
  for (const char* name : {"lora_a", "lora_b"}) {
    const Var& var = parameters.at(name)->value;
    ASSERT_TRUE(var.grad().defined()) << name;
    for (const int64_t at : {int64_t{0}, var.value().numel() / 2, var.value().numel() - 1}) {
      constexpr float kStep = 0.01f;
      float& element = var.value().f32()[at];
      const float kept = element;
      element = kept + kStep;
      const double above = loss(ctx).value().f32()[0];
      element = kept - kStep;
      const double below = loss(ctx).value().f32()[0];
      element = kept;
      // The third derivative's share is of the order of kStep^2, rounding's of eps / kStep.
      EXPECT_NEAR(var.grad().f32()[at], (above - below) / (2.0 * kStep), 2e-4) << name << " " << at;
    }
  }
}

VitConfig tiny() {
  VitConfig config;
  config.img_size = {16, 16};
  config.patch_size = {8, 8};
  config.embed_dim = 24;
  config.depth = 2;
  config.num_heads = 3;
  config.num_classes = 5;
  config.init_values = 0.5f;
  return config;
}

TEST(Lora, StartsAsIfItWereNotThere) {
  Vit plain(tiny(), "tiny"), adapted(tiny(), "tiny");
  for (Vit* model : {&plain, &adapted}) initialise_parameters(*model, 5, Purpose::training);
  const auto names = add_lora(adapted, {}, 5);
  EXPECT_THAT(names, ElementsAre("blocks.0.attn.qkv", "blocks.0.attn.proj", "blocks.1.attn.qkv", "blocks.1.attn.proj"));
  const Tensor pixels = normal({2, 3, 16, 16}, 6);
  Context ctx;
  const Tensor a = plain.forward(ctx, pixels).value(), b = adapted.forward(ctx, pixels).value();
  for (int64_t i = 0; i < a.numel(); ++i) EXPECT_NEAR(a.f32()[i], b.f32()[i], 1e-6);
  adapted.visit_parameters([](const std::string& name, Parameter& parameter) {
    ASSERT_TRUE(parameter.value.defined()) << name;
    if (!name.ends_with("lora_a")) return;
    double sum = 0.0;
    const double bound = 1.0 / std::sqrt(24.0);
    for (const float value : parameter.value.value().span<float>()) {
      EXPECT_LE(std::abs(value), bound);
      sum += static_cast<double>(value) * value;
    }
    EXPECT_NEAR(sum / static_cast<double>(parameter.shape.numel()), bound * bound / 3.0, 0.3 * bound * bound / 3.0);
  });
}

TEST(Lora, MergedWeightsMakeAPlainModelWithTheSameAnswers) {
  Vit adapted(tiny(), "tiny"), plain(tiny(), "tiny");
  initialise_parameters(adapted, 5, Purpose::training);
  add_lora(adapted, {.rank = 2, .targets = {"attn.*", "fc1"}}, 5);
  fill(adapted);
  const Values merged = merge_lora(adapted, values_of(adapted));
  std::set<std::string> names;
  for (const auto& entry : merged) names.insert(entry.first);
  plain.visit_parameters([&](const std::string& name, Parameter&) { EXPECT_EQ(names.erase(name), 1u) << name; });
  EXPECT_TRUE(names.empty());
  set_values(plain, merged);
  const Tensor pixels = normal({2, 3, 16, 16}, 6);
  Context ctx;
  const Tensor a = plain.forward(ctx, pixels).value(), b = adapted.forward(ctx, pixels).value();
  EXPECT_LT(test::relative_l2(a.f32(), b.f32(), a.numel()), 1e-5);
}

TEST(Lora, WithoutAdaptersWeightsStayAsTheyAre) {
  Vit model(tiny(), "tiny");
  initialise_parameters(model, 5, Purpose::training);
  const Values values = values_of(model), merged = merge_lora(model, values);
  ASSERT_EQ(merged.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(merged[i].second.raw(), values[i].second.raw());
}

TEST(Lora, TargetsAreNamesOrGlobsOnTheirEnds) {
  const auto adapted = [](std::vector<std::string> targets) {
    Vit model(tiny(), "tiny");
    initialise_parameters(model, 5, Purpose::training);
    return add_lora(model, {.targets = std::move(targets)}, 5);
  };
  EXPECT_THAT(adapted({"blocks.1.attn.*"}), ElementsAre("blocks.1.attn.qkv", "blocks.1.attn.proj"));
  EXPECT_THAT(adapted({"fc2"}), ElementsAre("blocks.0.mlp.fc2", "blocks.1.mlp.fc2"));
  EXPECT_EQ(adapted({"*"}).size(), 8u) << "the head is left out";
  EXPECT_THAT(usage_error([&] { adapted({"attn.kqv"}); }),
              AllOf(HasSubstr("attn.kqv"), HasSubstr("did you mean 'attn.qkv'")));
  EXPECT_THAT(usage_error([&] { adapted({"head"}); }), HasSubstr("trained whole"));
  EXPECT_THAT(usage_error([&] { adapted({}); }), HasSubstr("attn.qkv"));
  EXPECT_THAT(usage_error([&] { read_config<LoraConfig>(ConfigNode::parse("{rank: 0}", "a.yaml")); }),
              HasSubstr("rank"));
}

}  // namespace
}  // namespace vit
