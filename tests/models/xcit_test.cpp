// XCiT: what timm's files make of it, feature maps, other image sizes and heads, swapped mechanisms, and training.
#include "vit/models/xcit.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/backbone_check.h"
#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_check.h"
#include "vit/models/build.h"
#include "vit/models/load.h"

namespace vit {
namespace {

using nlohmann::json;
using testing::HasSubstr;

XcitConfig small() {
  XcitConfig config;
  config.img_size = {27, 18};
  config.patch_size = 8;
  config.num_classes = 5;
  config.embed_dim = 16;
  config.depth = 2;
  config.num_heads = 2;
  config.mlp_ratio = 2.0;
  config.eta = 0.3f;
  return config;
}

Tensor pixels(int64_t height = 27, int64_t width = 18) { return test::random_tensor({3, 3, height, width}, 1); }

XcitConfig timm(const json& config) {
  const ModelPlan plan = plan_model({config, "config.json"});
  return dynamic_cast<const Xcit&>(*plan.model).config();
}

TEST(XcitConfig, TimmNamesAndArguments) {
  const XcitConfig medium = timm({{"architecture", "xcit_medium_24_p8_384"}});
  EXPECT_EQ(medium.embed_dim, 512);
  EXPECT_EQ(medium.depth, 24);
  EXPECT_EQ(medium.patch_size, 8);
  EXPECT_EQ(medium.img_size[0], 384);
  EXPECT_EQ(medium.eta, 1e-5f);
  EXPECT_TRUE(medium.tokens_norm);
  EXPECT_FALSE(timm({{"architecture", "xcit_nano_12_p16_224"}}).tokens_norm);
  EXPECT_EQ(timm({{"architecture", "xcit_small_12_p16_224_dist"}}).embed_dim, 384);
  const XcitConfig changed = timm({{"architecture", "xcit_tiny_12_p16_224"},
                                   {"num_classes", 7},
                                   {"model_args",
                                    {{"img_size", {96, 64}},
                                     {"depth", 2},
                                     {"cls_attn_layers", 1},
                                     {"use_pos_embed", false},
                                     {"tokens_norm", false},
                                     {"qkv_bias", false},
                                     {"global_pool", "avg"}}}});
  EXPECT_EQ(changed.img_size, (std::array<int64_t, 2>{96, 64}));
  EXPECT_EQ(changed.num_classes, 7);
  EXPECT_EQ(changed.cls_attn_layers, 1);
  EXPECT_FALSE(changed.use_pos_embed || changed.tokens_norm);
  EXPECT_EQ(changed.attention.get("qkv_bias").text(), "false");
  EXPECT_EQ(changed.global_pool, Pool::avg);
}

TEST(XcitConfig, RefusesWhatMakesNoModel) {
  const auto refused = [](const json& args) {
    return test::usage_error([&] { timm({{"architecture", "xcit_tiny_12_p16_224"}, {"model_args", args}}); });
  };
  EXPECT_THAT(refused({{"embed_dmi", 48}}), HasSubstr("did you mean 'embed_dim'"));
  EXPECT_THAT(refused({{"patch_size", 12}}), HasSubstr("8 or 16"));
  EXPECT_THAT(refused({{"num_heads", 5}}), HasSubstr("divisible by num_heads 5"));
  EXPECT_THAT(refused({{"global_pool", "max"}}), HasSubstr("'token' or 'avg'"));
  const auto yaml = [](const std::string& text) {
    return test::usage_error([&] { build_model(ConfigNode::parse(text, "xcit.yaml"), "xcit"); });
  };
  EXPECT_THAT(yaml("{type: xcit, depth: 2, attention: [self, self, self]}"), HasSubstr("depth = 2, got 3"));
}

TEST(Xcit, OnlyTheClassTokenLeavesTheLastBlock) {
  Xcit model(small(), "xcit");
  initialise_parameters(model, 1);
  Context ctx;
  EXPECT_EQ(model.forward_features(ctx, pixels()).shape(), (Shape{3, 1 + 4 * 3, 16}));
  EXPECT_EQ(model.forward(ctx, pixels()).shape(), (Shape{3, 5}));
}

TEST(Xcit, AnotherHead) {
  Xcit model(small(), "xcit");
  EXPECT_EQ(model.replace_head(9), (std::vector<std::string>{"head.weight", "head.bias"}));
  initialise_parameters(model, 1);
  Context ctx;
  EXPECT_EQ(model.forward(ctx, pixels()).shape(), (Shape{3, 9}));
}

struct Form {
  std::string name;
  XcitConfig config;
};

std::vector<Form> forms() {
  std::vector<Form> all = {{"plain", small()}, {"tokens_norm", small()}, {"avg", small()}, {"mixed", small()}};
  all[1].config.tokens_norm = true;
  all[2].config.global_pool = Pool::avg;
  all[2].config.patch_size = 16;
  all[2].config.use_pos_embed = false;
  all[3].config.attention = ConfigNode::parse("[self, {type: window, window: 2}]", "test");
  all[3].config.cls_attention = ConfigNode::parse("{type: class_attention, packed: true}", "test");
  return all;
}

class XcitTest : public testing::TestWithParam<Form> {
 protected:
  test::MakeBackbone make_ = [] { return std::make_unique<Xcit>(GetParam().config, GetParam().name); };
};

TEST_P(XcitTest, SameWithAndWithoutTape) { test::expect_same_with_and_without_tape(make_, pixels()); }
TEST_P(XcitTest, GradientsAreTheSlopes) { test::expect_slopes(make_, pixels()); }
TEST_P(XcitTest, CheckpointingGivesTheSameBits) { test::expect_same_when_checkpointing(make_, pixels()); }
TEST_P(XcitTest, SameBitsOnAnyNumberOfThreads) { test::expect_same_on_any_threads(make_, pixels()); }
TEST_P(XcitTest, MapsAreWhatBlocksLeave) { test::expect_maps_are_observed(make_, pixels()); }
TEST_P(XcitTest, DescriptionMakesItAgain) { test::expect_description_makes_it_again(make_); }
TEST_P(XcitTest, OtherImageSizes) { test::expect_other_sizes(make_, pixels(40, 33)); }

INSTANTIATE_TEST_SUITE_P(Forms, XcitTest, testing::ValuesIn(forms()), [](const auto& item) { return item.param.name; });

}  // namespace
}  // namespace vit
