// CaiT: what timm's files make of it, feature maps, other image sizes and heads, and training.
#include "vit/models/cait.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_check.h"
#include "tests/support/tolerance.h"
#include "vit/models/build.h"
#include "vit/models/load.h"

namespace vit {
namespace {

using nlohmann::json;
using testing::HasSubstr;

CaitConfig small() {
  CaitConfig config;
  config.img_size = {16, 12};
  config.patch_size = 4;
  config.embed_dim = 12;
  config.depth = 2;
  config.num_heads = 3;
  config.num_classes = 5;
  config.init_values = 0.3f;
  return config;
}

Tensor pixels(int64_t height = 16, int64_t width = 12) { return test::random_tensor({3, 3, height, width}, 1); }

CaitConfig timm(const json& config) {
  const ModelPlan plan = plan_model({config, "config.json"});
  return dynamic_cast<const Cait&>(*plan.model).config();
}

TEST(CaitConfig, TimmNamesAndArguments) {
  const CaitConfig small24 = timm({{"architecture", "cait_s24_384"}});
  EXPECT_EQ(small24.img_size[0], 384);
  EXPECT_EQ(small24.embed_dim, 384);
  EXPECT_EQ(small24.num_heads, 8);
  EXPECT_EQ(small24.init_values, 1e-5f);
  EXPECT_EQ(small24.attention.get("qkv_bias").text(), "true");
  const CaitConfig changed = timm({{"architecture", "cait_xxs24_224"},
                                   {"num_classes", 7},
                                   {"model_args",
                                    {{"img_size", {96, 64}},
                                     {"depth", 2},
                                     {"depth_token_only", 1},
                                     {"mlp_ratio_token_only", 2.0},
                                     {"qkv_bias", false},
                                     {"global_pool", "avg"}}}});
  EXPECT_EQ(changed.img_size, (std::array<int64_t, 2>{96, 64}));
  EXPECT_EQ(changed.num_classes, 7);
  EXPECT_EQ(changed.depth_token_only, 1);
  EXPECT_EQ(changed.global_pool, Pool::avg);
  EXPECT_EQ(changed.attention_token_only.get("qkv_bias").text(), "false");
}

TEST(CaitConfig, RefusesWhatMakesNoModel) {
  const auto refused = [](const json& args) {
    return test::usage_error([&] { timm({{"architecture", "cait_xxs24_224"}, {"model_args", args}}); });
  };
  EXPECT_THAT(refused({{"embed_dmi", 48}}), HasSubstr("did you mean 'embed_dim'"));
  EXPECT_THAT(refused({{"patch_size", {16, 8}}}), HasSubstr("square patch"));
  EXPECT_THAT(refused({{"global_pool", "max"}}), HasSubstr("'token' or 'avg'"));
  EXPECT_THAT(refused({{"num_heads", 5}}), HasSubstr("divisible by num_heads 5"));
  EXPECT_THAT(refused({{"img_size", 8}}), HasSubstr("smaller than a patch"));
  const auto yaml = [](const std::string& text) {
    return test::usage_error([&] { build_model(ConfigNode::parse(text, "cait.yaml"), "cait"); });
  };
  EXPECT_THAT(yaml("{type: cait, depth: 2, attention: [self, self, self]}"), HasSubstr("depth = 2, got 3"));
  EXPECT_THAT(yaml("{type: cait, depth: 1, attention: class_attention}"), HasSubstr("class_token"));
}

TEST(Cait, EachBlockHasItsMechanism) {
  const auto model = build_model(ConfigNode::parse("{type: cait, img_size: [32, 32], embed_dim: 16, depth: 2, "
                                                   "num_heads: 2, attention: [self, {type: talking_heads}]}",
                                                   "cait.yaml"),
                                 "cait");
  std::vector<std::string> talking;
  model->visit_parameters([&](const std::string& name, Parameter&) {
    if (name.ends_with("proj_l.weight")) talking.push_back(name);
  });
  EXPECT_EQ(talking, std::vector<std::string>{"blocks.1.attn.proj_l.weight"});
  // The description makes the same model again.
  const auto again = build_model(model->describe(), "again");
  EXPECT_EQ(again->describe(), model->describe());
  EXPECT_EQ(again->parameter_count(), model->parameter_count());
}

TEST(Cait, MapsAreWhatBlocksLeave) {
  Cait model(small(), "cait");
  initialise_parameters(model, 1);
  ASSERT_EQ(model.features().size(), 2u);
  EXPECT_EQ(model.features()[1].name, "blocks.1");
  EXPECT_EQ(model.features()[1].reduction, 4);
  struct Last : Observer {
    bool wants(const std::string& name) override { return name == "blocks.1"; }
    void observe(const std::string&, const Tensor& seen) override { value = seen.clone(); }
    Tensor value;
  } last;
  Context ctx;
  const std::vector<Var> maps = model.forward_maps(ctx, pixels(), {1, 0});
  ASSERT_EQ(maps[0].shape(), (Shape{3, 4, 3, 12}));
  ctx.observer = &last;
  model.forward(ctx, pixels());
  EXPECT_EQ(test::relative_l2(maps[0].value().f32(), last.value.f32(), last.value.numel()), 0.0);
  EXPECT_THAT(test::failure([&] { model.forward_maps(ctx, pixels(), {2}); }), HasSubstr("no feature map 2"));
}

TEST(Cait, WhatNobodyReadsIsLeftOut) {
  struct Everything : Observer {
    bool wants(const std::string&) override { return false; }
    void observe(const std::string&, const Tensor&) override {}
  } everything;
  Cait model(small(), "cait");
  initialise_parameters(model, 1);
  Context quick, observed;
  observed.observer = &everything;  // computes all tokens
  test::expect_close(model.forward(quick, pixels()).value(), model.forward(observed, pixels()).value());
  EXPECT_EQ(model.forward_features(quick, pixels()).shape(), (Shape{3, 13, 12}));
}

TEST(Cait, OtherImageSizes) {
  Cait in_pass(small(), "cait"), at_once(small(), "cait");
  for (Cait* model : {&in_pass, &at_once}) initialise_parameters(*model, 1);
  at_once.set_input_size(24, 20);
  EXPECT_EQ(at_once.info().input_size, (std::array<int64_t, 2>{24, 20}));
  Context ctx;
  test::expect_close(at_once.forward(ctx, pixels(24, 20)).value(), in_pass.forward(ctx, pixels(24, 20)).value());
  EXPECT_THAT(test::usage_error([&] { at_once.set_input_size(3, 20); }), HasSubstr("smaller than a patch"));
}

TEST(Cait, AnotherHead) {
  Cait model(small(), "cait");
  EXPECT_EQ(model.replace_head(9), (std::vector<std::string>{"head.weight", "head.bias"}));
  initialise_parameters(model, 1);
  Context ctx;
  EXPECT_EQ(model.forward(ctx, pixels()).shape(), (Shape{3, 9}));
}

struct NamedConfig {
  std::string name;
  CaitConfig config;
};

std::vector<NamedConfig> configs() {
  std::vector<NamedConfig> all = {
      {"token", small()}, {"avg", small()}, {"no_head", small()}, {"no_class_blocks", small()}};
  all[1].config.global_pool = Pool::avg;
  all[1].config.depth_token_only = 0;
  all[2].config.num_classes = 0;
  all[3].config.depth_token_only = 0;
  NamedConfig mixed{"mixed", small()};
  mixed.config.attention = ConfigNode::parse("[{type: talking_heads, qkv_bias: false}, rope]", "test");
  mixed.config.attention_token_only = ConfigNode::parse("{type: class_attention, packed: true}", "test");
  all.push_back(mixed);
  return all;
}

class CaitTrainingTest : public testing::TestWithParam<NamedConfig> {
 protected:
  test::MakeModel make_ = [] { return std::make_unique<Cait>(GetParam().config, GetParam().name); };
  Tensor pixels_ = pixels();
};

TEST_P(CaitTrainingTest, RecordingChangesNoNumbers) { test::expect_same_with_and_without_tape(make_, pixels_); }

// Without blocks of the class token either it or the patches reach no logit, and have no gradient.
std::vector<NamedConfig> connected_configs() {
  std::vector<NamedConfig> kept = configs();
  std::erase_if(kept, [](const NamedConfig& each) { return each.config.depth_token_only == 0; });
  return kept;
}

class CaitSlopeTest : public CaitTrainingTest {};

TEST_P(CaitSlopeTest, GradientsAreTheSlopes) { test::expect_slopes(make_, pixels_); }

TEST_P(CaitTrainingTest, CheckpointingGivesTheSameBits) { test::expect_same_when_checkpointing(make_, pixels_); }

TEST_P(CaitTrainingTest, SameBitsOnAnyNumberOfThreads) { test::expect_same_on_any_threads(make_, pixels_); }

INSTANTIATE_TEST_SUITE_P(Forms, CaitSlopeTest, testing::ValuesIn(connected_configs()),
                         [](const auto& item) { return item.param.name; });
INSTANTIATE_TEST_SUITE_P(Forms, CaitTrainingTest, testing::ValuesIn(configs()),
                         [](const auto& item) { return item.param.name; });

}  // namespace
}  // namespace vit
