// config.json of both libraries -> VitConfig: precedence, defaults, and what is refused.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"
#include "vit/models/build.h"
#include "vit/models/vit_timm.h"

namespace vit {
namespace {

using nlohmann::json;
using testing::HasSubstr;

VitConfig timm(const json& config) { return vit_config_from_timm(config, "config.json"); }

VitConfig hugging_face(const json& config) {
  const ModelPlan plan = plan_model({config, "config.json"});
  return dynamic_cast<const Vit&>(*plan.model).config();
}

TEST(TimmConfig, ModelArgsWinOverTheArchitectureAndPretrainedCfgOverDefaults) {
  const json base = {{"architecture", "vit_small_patch14_dinov2"}};
  EXPECT_EQ(timm(base).img_size[0], 518);
  json config = base;
  config["pretrained_cfg"] = {{"input_size", {3, 224, 224}}, {"fixed_input_size", true}, {"num_classes", 7}};
  EXPECT_EQ(timm(config).img_size[0], 224);
  EXPECT_EQ(timm(config).num_classes, 7);
  config["num_classes"] = 8;
  config["model_args"] = {{"img_size", {98, 112}}, {"embed_dim", 48}, {"num_heads", 4}};
  EXPECT_EQ(timm(config).img_size, (std::array<int64_t, 2>{98, 112}));
  EXPECT_EQ(timm(config).num_classes, 8);
  EXPECT_EQ(timm(config).embed_dim, 48);
  config["model_args"]["dynamic_img_size"] = true;
  config["model_args"].erase("img_size");
  EXPECT_EQ(timm(config).img_size[0], 518) << "a dynamic model keeps its architecture's grid";
}

TEST(TimmConfig, NullIsTheDefaultAndOverridesTheArchitecture) {
  const json config = {{"architecture", "deit3_small_patch16_224"},
                       {"model_args", {{"init_values", nullptr}, {"norm_layer", nullptr}}}};
  EXPECT_TRUE(timm({{"architecture", "deit3_small_patch16_224"}}).init_values.has_value());
  EXPECT_FALSE(timm(config).init_values.has_value());
}

TEST(TimmConfig, OldFilesHavePretrainedCfgAtTheTopLevel) {
  const json config = {
      {"architecture", "vit_tiny_patch16_224"}, {"input_size", {3, 96, 96}}, {"fixed_input_size", true}};
  EXPECT_EQ(timm(config).img_size[0], 96);
}

TEST(TimmConfig, RefusesWhatItDoesNotKnow) {
  const auto refused = [](const json& args) {
    return test::usage_error([&] { timm({{"architecture", "vit_tiny_patch16_224"}, {"model_args", args}}); });
  };
  EXPECT_THAT(refused({{"embed_dmi", 48}}), HasSubstr("did you mean 'embed_dim'"));
  EXPECT_THAT(refused({{"global_pool", "maps"}}), HasSubstr("did you mean 'map'"));
  EXPECT_THAT(refused({{"embed_dim", -3}}), HasSubstr("embed_dim"));
  EXPECT_THAT(refused({{"patch_size", json::array()}}), HasSubstr("patch_size"));
  EXPECT_THAT(test::usage_error([] {
                plan_model({json{{"architecture", "vit_tiny_patch17_224"}}, "config.json"});
              }),
              testing::AllOf(HasSubstr("config.json"), HasSubstr("vit_tiny_patch16_224")));
  EXPECT_THAT(test::usage_error([] { plan_model({json::object(), "config.json"}); }), HasSubstr("neither"));
}

TEST(HuggingFaceConfig, DefaultsAreThoseOfTheClasses) {
  const VitConfig vit = hugging_face({{"model_type", "vit"}, {"architectures", {"ViTForImageClassification"}}});
  EXPECT_EQ(vit.embed_dim, 768);
  EXPECT_EQ(vit.num_classes, 2);
  EXPECT_EQ(vit.norm_eps, 1e-12f);
  EXPECT_EQ(vit.pos_interpolation, Interpolation::bicubic);
  const VitConfig dino = hugging_face({{"model_type", "dinov2"}, {"use_swiglu_ffn", true}});
  EXPECT_EQ(dino.patch_size[0], 14);
  EXPECT_EQ(dino.num_classes, 0);
  EXPECT_EQ(dino.mlp_hidden_width(), 2 * 2048);
  EXPECT_EQ(dino.act, Activation::silu);
  EXPECT_TRUE(hugging_face({{"model_type", "deit"}}).distilled);
}

TEST(HuggingFaceConfig, RefusesNonsense) {
  const auto refused = [](const json& config) { return test::usage_error([&] { hugging_face(config); }); };
  EXPECT_THAT(refused({{"model_type", "vit"}, {"image_size", json::array()}}), HasSubstr("image_size"));
  EXPECT_THAT(refused({{"model_type", "vit"}, {"hidden_size", 1e30}}), HasSubstr("hidden_size"));
  EXPECT_THAT(refused({{"model_type", "vit"}, {"num_attention_heads", 7}}), HasSubstr("num_heads 7"));
  EXPECT_THAT(refused({{"model_type", "vti"}}), HasSubstr("did you mean 'vit'"));
}

}  // namespace
}  // namespace vit
