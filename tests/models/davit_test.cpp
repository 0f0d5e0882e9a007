// DaViT: what timm's files make of it, feature maps, other image sizes and heads, swapped mechanisms, and training.
#include "vit/models/davit.h"

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

/// Two stages on maps that neither stem nor windows divide.
DavitConfig small() {
  DavitConfig config;
  config.img_size = {27, 18};
  config.num_classes = 5;
  config.depths = {1, 1};
  config.embed_dims = {8, 12};
  config.num_heads = {2, 3};
  config.window_size = 3;
  config.mlp_ratio = 2.0;
  return config;
}

Tensor pixels(int64_t height = 27, int64_t width = 18) { return test::random_tensor({3, 3, height, width}, 1); }

DavitConfig timm(const json& config) {
  const ModelPlan plan = plan_model({config, "config.json"});
  return dynamic_cast<const Davit&>(*plan.model).config();
}

TEST(DavitConfig, TimmNamesAndArguments) {
  const DavitConfig base = timm({{"architecture", "davit_base"}, {"pretrained_cfg", {{"input_size", {3, 192, 256}}}}});
  EXPECT_EQ(base.embed_dims, (std::vector<int64_t>{128, 256, 512, 1024}));
  EXPECT_EQ(base.depths, (std::vector<int64_t>{1, 1, 9, 1}));
  EXPECT_EQ(base.img_size, (std::array<int64_t, 2>{192, 256}));
  const DavitConfig old = timm({{"architecture", "davit_base"}, {"input_size", {3, 96, 128}}});
  EXPECT_EQ(old.img_size, (std::array<int64_t, 2>{96, 128}));
  const DavitConfig florence = timm({{"architecture", "davit_base_fl"}});
  EXPECT_TRUE(florence.channel_attn_v2 && florence.named_blocks);
  EXPECT_EQ(florence.window_size, 12);
  EXPECT_EQ(florence.down_kernel_size, 3);
  const DavitConfig changed = timm({{"architecture", "davit_tiny"},
                                    {"num_classes", 7},
                                    {"model_args",
                                     {{"depths", {1, 2}},
                                      {"embed_dims", {16, 24}},
                                      {"num_heads", {2, 3}},
                                      {"attn_types", {"channel"}},
                                      {"head_norm_first", true},
                                      {"global_pool", "max"},
                                      {"cpe_act", true}}}});
  EXPECT_EQ(changed.num_classes, 7);
  EXPECT_EQ(changed.global_pool, Pool::max);
  EXPECT_EQ(changed.mechanisms().size(), 1u);
  EXPECT_TRUE(changed.head_norm_first && changed.cpe_act);
}

TEST(DavitConfig, RefusesWhatMakesNoModel) {
  const auto refused = [](const json& args) {
    return test::usage_error([&] { timm({{"architecture", "davit_tiny"}, {"model_args", args}}); });
  };
  EXPECT_THAT(refused({{"embed_dim", 48}}), HasSubstr("did you mean 'embed_dims'"));
  EXPECT_THAT(refused({{"depths", {1, 1}}}), HasSubstr("each stage needs all three"));
  EXPECT_THAT(refused({{"num_heads", {5, 6, 12, 24}}}), HasSubstr("divisible by its num_heads 5"));
  EXPECT_THAT(refused({{"attn_types", {"spacial"}}}), HasSubstr("'spatial' and 'channel'"));
  EXPECT_THAT(refused({{"norm_layer", "batchnorm2d"}}), HasSubstr("layernorm2d"));
  EXPECT_THAT(refused({{"global_pool", "token"}}), HasSubstr("'avg', 'max' or 'avgmax'"));
  EXPECT_THAT(refused({{"img_size", 4100}}), HasSubstr("at most 1048576"));
  Davit model(small(), "davit");
  EXPECT_THAT(test::usage_error([&] { model.set_input_size(4100, 4100); }), HasSubstr("at most 1048576"));
}

TEST(Davit, MechanismsTakeTurns) {
  const auto names_of = [](const std::string& attention) {
    const auto model = build_model(ConfigNode::parse("{type: davit, img_size: [32, 32], depths: [2], embed_dims: [8], "
                                                     "num_heads: [2], " +
                                                         attention + "}",
                                                     "davit.yaml"),
                                   "davit");
    std::vector<std::string> names;
    model->visit_parameters([&](const std::string& name, Parameter&) {
      if (name.find(".attn.") != std::string::npos && !name.ends_with("bias")) names.push_back(name);
    });
    return names;
  };
  EXPECT_EQ(names_of("attention: cross_covariance"),
            (std::vector<std::string>{"stages.0.blocks.0.0.attn.temperature", "stages.0.blocks.0.0.attn.qkv.weight",
                                      "stages.0.blocks.0.0.attn.proj.weight", "stages.0.blocks.1.0.attn.temperature",
                                      "stages.0.blocks.1.0.attn.qkv.weight", "stages.0.blocks.1.0.attn.proj.weight"}));
  EXPECT_EQ(names_of("attention: [self, channel], named_blocks: true").at(2),
            "stages.0.blocks.0.channel_block.attn.qkv.weight");
  EXPECT_EQ(names_of("named_blocks: true").at(0), "stages.0.blocks.0.spatial_block.attn.qkv.weight");
}

TEST(Davit, AnotherHead) {
  Davit model(small(), "davit");
  EXPECT_EQ(model.replace_head(9), (std::vector<std::string>{"head.fc.weight", "head.fc.bias"}));
  initialise_parameters(model, 1);
  Context ctx;
  EXPECT_EQ(model.forward(ctx, pixels()).shape(), (Shape{3, 9}));
}

struct Form {
  std::string name;
  DavitConfig config;
};

std::vector<Form> forms() {
  std::vector<Form> all = {{"plain", small()}, {"florence", small()}, {"bare", small()}, {"mixed", small()}};
  DavitConfig& florence = all[1].config;
  florence.channel_attn_v2 = florence.named_blocks = true;
  florence.down_kernel_size = 3;
  DavitConfig& bare = all[2].config;
  bare.ffn = bare.qkv_bias = false;
  bare.cpe_act = bare.head_norm_first = true;
  bare.global_pool = Pool::avgmax;
  all[3].config.attention = ConfigNode::parse("[cross_covariance, spatial, self]", "test");
  return all;
}

/// Without dropout of positions, which it has none of.
constexpr TrainingOptions kTraining{.drop_rate = 0.1f, .proj_drop_rate = 0.2f, .drop_path_rate = 0.3f};

class DavitTest : public testing::TestWithParam<Form> {
 protected:
  test::MakeBackbone make_ = [] { return std::make_unique<Davit>(GetParam().config, GetParam().name); };
};

TEST_P(DavitTest, SameWithAndWithoutTape) { test::expect_same_with_and_without_tape(make_, pixels()); }
TEST_P(DavitTest, GradientsAreTheSlopes) { test::expect_slopes(make_, pixels()); }
TEST_P(DavitTest, CheckpointingGivesTheSameBits) { test::expect_same_when_checkpointing(make_, pixels(), kTraining); }
TEST_P(DavitTest, SameBitsOnAnyNumberOfThreads) { test::expect_same_on_any_threads(make_, pixels(), kTraining); }
TEST_P(DavitTest, MapsAreWhatStagesLeave) { test::expect_maps_are_observed(make_, pixels()); }
TEST_P(DavitTest, DescriptionMakesItAgain) { test::expect_description_makes_it_again(make_); }
TEST_P(DavitTest, OtherImageSizes) { test::expect_other_sizes(make_, pixels(40, 33)); }

INSTANTIATE_TEST_SUITE_P(Forms, DavitTest, testing::ValuesIn(forms()),
                         [](const auto& item) { return item.param.name; });

}  // namespace
}  // namespace vit
