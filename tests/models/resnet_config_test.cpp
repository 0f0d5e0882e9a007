// What timm's and Hugging Face's files make of a ResNet.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"
#include "vit/models/build.h"
#include "vit/models/resnet.h"
#include "vit/models/resnet_timm_architectures.h"

namespace vit {
namespace {

using nlohmann::json;
using testing::HasSubstr;

ResNetConfig config_of(const json& file) {
  const ModelPlan plan = plan_model({file, "config.json"});
  return dynamic_cast<const ResNet&>(*plan.model).config();
}

TEST(ResNetConfig, TimmArchitecturesHaveTheirParameters) {
  // Numbers of timm's results table, in thousands.
  const std::map<std::string, int64_t> thousands = {
      {"resnet10t", 5440},           {"resnet18", 11690},     {"resnet26t", 16010},       {"resnet34", 21798},
      {"resnet50", 25557},           {"resnet50c", 25576},    {"resnet50d", 25576},       {"resnet50s", 25680},
      {"resnet50t", 25570},          {"resnet101", 44549},    {"wide_resnet50_2", 68883}, {"resnext50_32x4d", 25029},
      {"seresnet50", 28088},         {"ecaresnet50d", 25576}, {"ecaresnetlight", 30162},  {"seresnext50_32x4d", 27560},
      {"seresnext26t_32x4d", 16810}, {"resnetrs50", 35690},   {"resnetaa50", 25557},      {"tv_resnet50", 25557}};
  for (const auto& [name, count] : thousands) {
    const ModelPlan plan = plan_model({json{{"architecture", name}}, "config.json"});
    EXPECT_NEAR(static_cast<double>(plan.model->parameter_count()) / 1000.0, static_cast<double>(count), 11.0) << name;
  }
}

TEST(ResNetConfig, EveryTimmArchitectureIsAModel) {
  for (const auto& [name, arguments] : timm_resnet_architectures()) {
    if (name.find("rs") != std::string::npos || name.find('2') != std::string::npos) continue;  // these take a while
    EXPECT_GT(plan_model({json{{"architecture", name}}, "config.json"}).model->parameter_count(), 1000000) << name;
  }
}

TEST(ResNetConfig, TimmArguments) {
  const ResNetConfig config = config_of({{"architecture", "resnet50"},
                                         {"num_classes", 7},
                                         {"pretrained_cfg", {{"input_size", {3, 96, 128}}}},
                                         {"model_args",
                                          {{"layers", {1, 2, 1, 1}},
                                           {"channels", {8, 16, 24, 32}},
                                           {"stem_type", "deep"},
                                           {"stem_width", 16},
                                           {"output_stride", 16},
                                           {"act_layer", "silu"},
                                           {"global_pool", "max"},
                                           {"block_args", {{"attn_layer", "gca"}}}}}});
  EXPECT_EQ(config.img_size, (std::array<int64_t, 2>{96, 128}));
  EXPECT_EQ(config.num_classes, 7);
  EXPECT_EQ(config.layers, (std::vector<int64_t>{1, 2, 1, 1}));
  EXPECT_EQ(config.stem_outputs(), 32);
  EXPECT_EQ(config.output_stride, 16);
  EXPECT_EQ(config.act, Activation::silu);
  EXPECT_EQ(config.global_pool, Pool::max);
  EXPECT_EQ(config.attention.get("type").text(), "global_context");
  EXPECT_EQ(config.attention.get("fuse_add").text(), "true");
  EXPECT_EQ(config_of({{"architecture", "resnetrs50"}}).attention.get("rd_ratio").text(), "0.25");
  EXPECT_EQ(config_of({{"architecture", "resnet18"}}).attention.kind(), ConfigNode::Kind::null);
}

TEST(ResNetConfig, EveryAttentionOfTimmHasAMechanism) {
  for (const char* name : {"se", "ese", "eca", "ecam", "ceca", "gc", "gca", "cbam", "lcbam", "nl", "bat"})
    EXPECT_NO_THROW(config_of({{"architecture", "resnet18"}, {"model_args", {{"block_args", {{"attn_layer", name}}}}}}))
        << name;
}

TEST(ResNetConfig, RefusesWhatItCannotRead) {
  const auto refused = [](const json& args) {
    return test::usage_error([&] { config_of({{"architecture", "resnet50"}, {"model_args", args}}); });
  };
  EXPECT_THAT(refused({{"chanels", {8}}}), HasSubstr("did you mean 'channels'"));
  EXPECT_THAT(refused({{"aa_layer", "blurpool"}}), HasSubstr("blur pooling is not supported"));
  EXPECT_THAT(refused({{"norm_layer", "groupnorm"}}), HasSubstr("'batchnorm'"));
  EXPECT_THAT(refused({{"stem_type", "wide"}}), HasSubstr("'deep_tiered'"));
  EXPECT_THAT(refused({{"block_args", {{"attn_layer", "halo"}}}}), HasSubstr("'halo' is not supported"));
  EXPECT_THAT(refused({{"block_args", {{"attn_layr", "se"}}}}), HasSubstr("did you mean 'attn_layer'"));
  EXPECT_THAT(refused({{"layers", {1, 1}}}), HasSubstr("`channels`"));
  EXPECT_THAT(refused({{"output_stride", 12}}), HasSubstr("8, 16 or 32"));
  EXPECT_THAT(refused({{"base_width", 4}, {"channels", {1, 2, 4, 8}}}), HasSubstr("base_width 4"));
  EXPECT_THAT(refused({{"global_pool", "token"}}), HasSubstr("'avg'"));
}

TEST(ResNetConfig, InputSizesOfOldFilesAreAtTheTopLevel) {
  EXPECT_EQ(config_of({{"architecture", "resnet18"}, {"input_size", {3, 96, 128}}}).img_size,
            (std::array<int64_t, 2>{96, 128}));
  EXPECT_THAT(test::usage_error([] {
                config_of({{"architecture", "resnet18"}, {"input_size", {96, 128}}});
              }),
              HasSubstr("[channels, height, width]"));
}

TEST(ResNetConfig, HuggingFacesDefaultsAndVariants) {
  const ResNetConfig plain = config_of({{"model_type", "resnet"}});
  EXPECT_EQ(plain.channels, (std::vector<int64_t>{64, 128, 256, 512}));
  EXPECT_EQ(plain.stem_outputs(), 64);
  EXPECT_EQ(plain.num_classes, 0);
  EXPECT_EQ(plain.dialect, Dialect::hugging_face);
  const ResNetConfig basic = config_of({{"model_type", "resnet"},
                                        {"architectures", {"ResNetForImageClassification"}},
                                        {"layer_type", "basic"},
                                        {"hidden_sizes", {8, 12}},
                                        {"depths", {1, 2}},
                                        {"embedding_size", 6},
                                        {"hidden_act", "gelu"},
                                        {"downsample_in_first_stage", true},
                                        {"id2label", {{"0", "a"}, {"1", "b"}, {"2", "c"}}}});
  EXPECT_EQ(basic.channels, (std::vector<int64_t>{8, 12}));
  EXPECT_EQ(basic.block, ResNetBlockKind::basic);
  EXPECT_EQ(basic.num_classes, 3);
  EXPECT_TRUE(basic.downsample_in_first_stage);
  EXPECT_THAT(test::usage_error([] {
                config_of({{"model_type", "resnet"}, {"hidden_sizes", {6, 8, 8, 8}}});
              }),
              HasSubstr("multiples of 4"));
}

}  // namespace
}  // namespace vit
