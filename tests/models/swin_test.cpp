// Swin: what timm's and Hugging Face's files make of it, feature maps, other image sizes and heads, and training.
#include "vit/models/swin.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_check.h"
#include "vit/models/build.h"
#include "vit/models/load.h"
#include "vit/nn/window_bias.h"

namespace vit {
namespace {

using nlohmann::json;
using test::same_bits;
using testing::HasSubstr;

/// Maps of 7 x 5 and 4 x 3 under windows of 3: shifted, padded, and shrunk.
SwinConfig small() {
  SwinConfig config;
  config.img_size = {14, 10};
  config.patch_size = 2;
  config.embed_dim = 6;
  config.depths = {2, 2};
  config.num_heads = {1, 2};
  config.window_size = ConfigNode::make_scalar("3", false);
  config.num_classes = 5;
  return config;
}

Tensor pixels(int64_t height = 14, int64_t width = 10) { return test::random_tensor({3, 3, height, width}, 1); }

SwinConfig planned(const json& config) {
  const ModelPlan plan = plan_model({config, "config.json"});
  return dynamic_cast<const Swin&>(*plan.model).config();
}

int64_t first_window(const SwinConfig& config, int64_t stage) {
  const ConfigNode window = config.attention_of_stage(stage).get("window");
  return std::stoll(window.is_list() ? window.items()[0].text() : window.text());
}

TEST(SwinConfig, TimmNamesAndArguments) {
  const SwinConfig large = planned({{"architecture", "swin_large_patch4_window12_384"}});
  EXPECT_EQ(large.img_size[0], 384);
  EXPECT_EQ(large.embed_dim, 192);
  EXPECT_EQ(large.depths, (std::vector<int64_t>{2, 2, 18, 2}));
  EXPECT_EQ(first_window(large, 3), 12);
  const SwinConfig searched = planned({{"architecture", "swin_s3_tiny_224"}});
  EXPECT_EQ(first_window(searched, 1), 7);
  EXPECT_EQ(first_window(searched, 2), 14);
  const SwinConfig changed = planned({{"architecture", "swin_tiny_patch4_window7_224"},
                                      {"num_classes", 7},
                                      {"model_args",
                                       {{"img_size", {96, 64}},
                                        {"depths", {1, 2}},
                                        {"num_heads", {2, 4}},
                                        {"window_size", {4, 8}},
                                        {"mlp_ratio", 2.0},
                                        {"qkv_bias", false}}}});
  EXPECT_EQ(changed.img_size, (std::array<int64_t, 2>{96, 64}));
  EXPECT_EQ(changed.num_classes, 7);
  EXPECT_EQ(first_window(changed, 0), 4);
  EXPECT_EQ(first_window(changed, 1), 4);
  EXPECT_EQ(changed.attention_of_stage(0).get("qkv_bias").text(), "false");
}

TEST(SwinConfig, HuggingFaceArguments) {
  const SwinConfig config = planned({{"model_type", "swin"},
                                     {"architectures", {"SwinForImageClassification"}},
                                     {"image_size", 64},
                                     {"embed_dim", 8},
                                     {"depths", {1, 1}},
                                     {"num_heads", {2, 2}},
                                     {"window_size", 4},
                                     {"hidden_act", "relu"},
                                     {"layer_norm_eps", 1e-3},
                                     {"id2label", {{"0", "a"}, {"1", "b"}, {"2", "c"}}}});
  EXPECT_EQ(config.num_classes, 3);
  EXPECT_EQ(config.dialect, Dialect::hugging_face);
  EXPECT_EQ(config.act, Activation::relu);
  EXPECT_EQ(first_window(config, 1), 4);
  EXPECT_EQ(config.norm_eps, 1e-3f);
  EXPECT_EQ(config.reducing_norm_eps(), 1e-5f);
  EXPECT_EQ(planned({{"architecture", "swin_tiny_patch4_window7_224"}}).embed_norm_eps, std::nullopt);
  EXPECT_THAT(test::usage_error([] {
                planned({{"model_type", "swin"}, {"use_absolute_embeddings", true}});
              }),
              HasSubstr("row for a class token"));
  EXPECT_EQ(planned({{"model_type", "swin"}, {"architectures", {"SwinModel"}}}).num_classes, 0);
}

TEST(SwinConfig, RefusesWhatMakesNoModel) {
  const auto refused = [](const json& args) {
    return test::usage_error([&] {
      planned({{"architecture", "swin_tiny_patch4_window7_224"}, {"model_args", args}});
    });
  };
  EXPECT_THAT(refused({{"embed_dmi", 48}}), HasSubstr("did you mean 'embed_dim'"));
  EXPECT_THAT(refused({{"head_dim", 8}}), HasSubstr("not supported"));
  EXPECT_THAT(refused({{"global_pool", "max"}}), HasSubstr("'avg'"));
  EXPECT_THAT(refused({{"num_heads", {3, 6, 12, 25}}}), HasSubstr("divisible by num_heads 25"));
  EXPECT_THAT(refused({{"depths", {2, 2}}}), HasSubstr("got 2 and 4"));
  EXPECT_THAT(refused({{"img_size", 16}}), HasSubstr("too small"));
  EXPECT_THAT(refused({{"window_size", {7, 7, 7}}}), HasSubstr("4 stages"));
  EXPECT_THAT(refused({{"mlp_ratio", 0}}), HasSubstr("no hidden channel"));
  EXPECT_THAT(refused({{"img_size", 4100}}), HasSubstr("at most 1048576"));
}

TEST(SwinConfig, RefusalsNameTheirPlace) {
  const auto refused = [](const std::string& attention) {
    return test::usage_error(
        [&] { build_model(ConfigNode::parse("type: swin\nattention: " + attention + "\n", "swin.yaml"), "swin"); });
  };
  for (const char* attention : {"cross", "{type: cross}", "{type: window, shift: x}", "[window, self, self, cross]"})
    EXPECT_THAT(refused(attention), testing::StartsWith("swin.yaml:2: ")) << attention;
}

/// Hugging Face's: the norms of the embedding and of patch merging keep torch's epsilon.
TEST(Swin, NormsThatReduceHaveTheirOwnEpsilon) {
  SwinConfig config = small();
  config.norm_eps = 1e-3f;
  const auto embedding = [&](const SwinConfig& given) {
    struct Tokens : Observer {
      bool wants(const std::string& name) override { return name == "embeddings" || name == "layers.1.downsample"; }
      void observe(const std::string& name, const Tensor& seen) override { values[name] = seen.clone(); }
      std::map<std::string, Tensor> values;
    } tokens;
    Swin model(given, "swin");
    initialise_parameters(model, 1);
    Context ctx;
    ctx.observer = &tokens;
    model.forward(ctx, pixels());
    return tokens.values;
  };
  const auto mixed = embedding({config});
  config.embed_norm_eps = 1e-5f;
  const auto own = embedding(config);
  config.norm_eps = 1e-5f;
  config.embed_norm_eps.reset();
  const auto plain = embedding(config);
  EXPECT_TRUE(same_bits(own.at("embeddings"), plain.at("embeddings")));
  EXPECT_FALSE(same_bits(own.at("embeddings"), mixed.at("embeddings")));
  // Blocks before patch merging have norm_eps.
  EXPECT_FALSE(same_bits(own.at("layers.1.downsample"), plain.at("layers.1.downsample")));
}

TEST(Swin, EachStageHasItsMechanism) {
  const auto model = build_model(ConfigNode::parse("{type: swin, img_size: [32, 32], embed_dim: 8, depths: [1, 1], "
                                                   "num_heads: [2, 2], window_size: 4, "
                                                   "attention: [{type: window, window: 2}, self]}",
                                                   "swin.yaml"),
                                 "swin");
  std::vector<std::string> tables;
  model->visit_parameters([&](const std::string& name, Parameter& parameter) {
    if (name.ends_with("bias_table")) tables.push_back(name + " " + parameter.shape.to_string());
  });
  EXPECT_EQ(tables, std::vector<std::string>{"layers.0.blocks.0.attn.relative_position_bias_table [9, 2]"});
  // The description makes the same model again.
  const auto again = build_model(model->describe(), "again");
  EXPECT_EQ(again->describe(), model->describe());
  EXPECT_EQ(again->parameter_count(), model->parameter_count());
}

TEST(Swin, MapsAreWhatStagesLeave) {
  Swin model(small(), "swin");
  initialise_parameters(model, 1);
  ASSERT_EQ(model.features().size(), 2u);
  EXPECT_EQ(model.features()[1].name, "layers.1");
  EXPECT_EQ(model.features()[1].channels, 12);
  EXPECT_EQ(model.features()[1].reduction, 4);
  struct Last : Observer {
    bool wants(const std::string& name) override { return name == "layers.1"; }
    void observe(const std::string&, const Tensor& seen) override { value = seen.clone(); }
    Tensor value;
  } last;
  Context ctx;
  const std::vector<Var> maps = model.forward_maps(ctx, pixels(), {1, 0});
  ASSERT_EQ(maps[0].shape(), (Shape{3, 4, 3, 12}));
  ASSERT_EQ(maps[1].shape(), (Shape{3, 7, 5, 6}));
  ctx.observer = &last;
  model.forward(ctx, pixels());
  EXPECT_TRUE(same_bits(maps[0].value(), last.value));
  EXPECT_THAT(test::failure([&] { model.forward_maps(ctx, pixels(), {2}); }), HasSubstr("no feature map 2"));
}

TEST(Swin, OtherImageSizes) {
  SwinConfig config = small();
  config.img_size = {24, 24};  // windows fit, so they are the same on other maps
  Swin in_pass(config, "swin"), at_once(config, "swin");
  for (Swin* model : {&in_pass, &at_once}) initialise_parameters(*model, 1);
  at_once.set_input_size(28, 20);
  EXPECT_EQ(at_once.info().input_size, (std::array<int64_t, 2>{28, 20}));
  Context ctx;
  test::expect_close(at_once.forward(ctx, pixels(28, 20)).value(), in_pass.forward(ctx, pixels(28, 20)).value());
  EXPECT_THAT(test::usage_error([&] { at_once.set_input_size(3, 20); }), HasSubstr("too small"));
}

TEST(Swin, BiasesOfOtherWindowsAreResampled) {
  SwinConfig config = small();
  const Swin timm(config, "swin");
  const std::string name = "layers.0.blocks.1.attn.relative_position_bias_table";
  const Tensor found = test::random_tensor({49, 1}, 3);  // windows of 4; those of the model are 3 x 3
  const Tensor adapted = timm.adapt_parameter(name, {25, 1}, found);
  EXPECT_TRUE(same_bits(adapted, resample_window_bias(found, {3, 3})));
  // The second stage's map has 3 x 2 tokens, and so has its window.
  EXPECT_EQ(timm.adapt_parameter("layers.1.blocks.0.attn.relative_position_bias_table", {15, 2},
                                 test::random_tensor({49, 2}, 4))
                .shape(),
            (Shape{15, 2}));
  EXPECT_TRUE(same_bits(timm.adapt_parameter("layers.0.blocks.1.attn.qkv.bias", {25, 1}, found), found));
  config.dialect = Dialect::hugging_face;
  EXPECT_TRUE(same_bits(Swin(config, "swin").adapt_parameter(name, {25, 1}, found), found));
}

TEST(Swin, WhatFillsNoPatch) {
  SwinConfig config = small();
  Swin timm(config, "swin");
  config.dialect = Dialect::hugging_face;
  Swin hugging_face(config, "swin");
  Context ctx;
  for (Swin* model : {&timm, &hugging_face}) initialise_parameters(*model, 1);
  EXPECT_EQ(timm.forward_maps(ctx, pixels(15, 11), {0})[0].shape(), (Shape{3, 7, 5, 6}));
  EXPECT_EQ(hugging_face.forward_maps(ctx, pixels(15, 11), {0})[0].shape(), (Shape{3, 8, 6, 6}));
}

TEST(Swin, AnotherHead) {
  Swin model(small(), "swin");
  EXPECT_EQ(model.replace_head(9), (std::vector<std::string>{"head.fc.weight", "head.fc.bias"}));
  initialise_parameters(model, 1);
  Context ctx;
  EXPECT_EQ(model.forward(ctx, pixels()).shape(), (Shape{3, 9}));
  EXPECT_EQ(model.info().num_classes, 9);
}

struct NamedConfig {
  std::string name;
  SwinConfig config;
};

std::vector<NamedConfig> configs() {
  std::vector<NamedConfig> all = {{"timm", small()}};
  const auto add = [&](const std::string& name, const auto& change) {
    SwinConfig config = small();
    change(config);
    all.push_back({name, config});
  };
  add("hugging_face", [](SwinConfig& c) { c.dialect = Dialect::hugging_face; });
  add("position_table", [](SwinConfig& c) { c.ape = true, c.qkv_bias = false; });
  add("no_head", [](SwinConfig& c) { c.num_classes = 0; });
  add("self_attention", [](SwinConfig& c) { c.attention = ConfigNode::parse("[window, self]", "test"); });
  return all;
}

class SwinTrainingTest : public testing::TestWithParam<NamedConfig> {
 protected:
  test::MakeModel make_ = [] { return std::make_unique<Swin>(GetParam().config, GetParam().name); };
  Tensor pixels_ = pixels();
};

TEST_P(SwinTrainingTest, RecordingChangesNoNumbers) { test::expect_same_with_and_without_tape(make_, pixels_); }

TEST_P(SwinTrainingTest, GradientsAreTheSlopes) { test::expect_slopes(make_, pixels_); }

TEST_P(SwinTrainingTest, CheckpointingGivesTheSameBits) { test::expect_same_when_checkpointing(make_, pixels_); }

TEST_P(SwinTrainingTest, SameBitsOnAnyNumberOfThreads) { test::expect_same_on_any_threads(make_, pixels_); }

INSTANTIATE_TEST_SUITE_P(Shapes, SwinTrainingTest, testing::ValuesIn(configs()),
                         [](const auto& item) { return item.param.name; });

}  // namespace
}  // namespace vit
