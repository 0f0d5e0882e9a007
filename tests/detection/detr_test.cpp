// DETR: what every model promises, masks, positions, other backbones and sizes, heads and descriptions. The original
// libraries' own numbers are the parity cases B3.
#include "detection/detr.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_check.h"
#include "vit/autograd/tensor_ops.h"
#include "vit/models/build.h"
#include "vit/models/load.h"

namespace detection {
namespace {

using testing::HasSubstr;
using vit::Context;
using vit::Tensor;
using vit::Var;
using vit::test::random_tensor;

constexpr char kResNet[] =
    "{type: resnet, block: basic, layers: [1, 1], channels: [6, 8], stem_channels: 6, act: silu, replace_stem_pool: "
    "true}";

/// Without kinks, for slopes.
DetrConfig small(const std::string& backbone = kResNet) {
  DetrConfig config;
  config.img_size = {32, 48};
  config.num_classes = 3;
  config.backbone = vit::ConfigNode::parse(backbone, "test");
  config.num_queries = 5;
  config.d_model = 16;
  config.encoder_layers = 1;
  config.encoder_attention_heads = 2;
  config.encoder_ffn_dim = 12;
  config.decoder_layers = 2;
  config.decoder_attention_heads = 4;
  config.decoder_ffn_dim = 20;
  config.activation_function = vit::Activation::gelu;
  return config;
}

struct NamedConfig {
  std::string name;
  DetrConfig config;
};

std::vector<NamedConfig> configs() {
  std::vector<NamedConfig> all = {{"plain", small()}};
  const auto add = [&](const std::string& name, const auto& change) {
    DetrConfig config = small();
    change(config);
    all.push_back({name, config});
  };
  add("pre_norm", [](DetrConfig& c) { c.pre_norm = true; });
  add("learned_positions", [](DetrConfig& c) { c.position_embedding_type = PositionEmbedding::learned; });
  add("every_dropout", [](DetrConfig& c) { c.attention_dropout = c.activation_dropout = 0.2f; });
  add("no_encoder", [](DetrConfig& c) { c.encoder_layers = 0; });
  add("finer_map", [](DetrConfig& c) { c.backbone_map = 0; });
  all.push_back({"swin", small("{type: swin, patch_size: 4, embed_dim: 8, depths: [1, 1], num_heads: [2, 2], "
                               "window_size: 4}")});
  return all;
}

/// All answers of a pass in one tensor: [B, Q, levels * (K + 1 + 4)].
Var answers(const DetectionModel& model, Context& ctx, const DetectionInput& input) {
  std::vector<Var> pieces;
  for (const DetectionLevel& level : model.detect(ctx, input).levels) {
    pieces.push_back(level.logits);
    pieces.push_back(level.boxes);
  }
  return vit::concat(ctx, pieces, 2);
}

/// The first `width` columns of images are picture.
Tensor mask_of(const Tensor& images, int64_t width) {
  Tensor mask = Tensor::empty({images.size(0), images.size(2), images.size(3)}, vit::DType::i64);
  for (int64_t i = 0; i < mask.numel(); ++i) mask.data<int64_t>()[i] = i % images.size(3) < width ? 1 : 0;
  return mask;
}

class DetrTest : public testing::TestWithParam<NamedConfig> {
 protected:
  vit::test::MakeModel make_ = [] { return std::make_unique<Detr>(GetParam().config, GetParam().name); };
  Tensor pixels_ = random_tensor({2, 3, 32, 48}, 1, 0.3f);
};

TEST_P(DetrTest, PreparedWeightsChangeNoNumbers) { vit::test::expect_same_with_and_without_tape(make_, pixels_, 4000); }

TEST_P(DetrTest, AnyThreadsGiveTheSameBits) { vit::test::expect_same_on_any_threads(make_, pixels_); }

TEST_P(DetrTest, EverythingThatIsUsedHasAGradient) {
  Detr model(GetParam().config, GetParam().name);
  vit::test::fill_leaves(model);
  const Tensor mask = mask_of(pixels_, 36);
  Context ctx;
  const auto gradients = vit::test::gradients_of(model, ctx, [&](Context& inner) {
    return answers(model, inner, {.images = pixels_, .pixel_mask = mask, .all_levels = true});
  });
  model.visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    // Swin's last norm belongs to its classifier; stages after the wanted map are not run.
    const bool unused = name.starts_with("backbone.norm") ||
                        (GetParam().config.backbone_map == 0 && name.starts_with("backbone.layer2"));
    if (parameter.buffer || unused) return;
    EXPECT_TRUE(gradients.count(name)) << name << " has no gradient";
  });
}

TEST_P(DetrTest, TheDescriptionMakesItAgain) {
  const auto model = make_();
  const auto again = vit::build_model(model->describe(), "again");
  EXPECT_EQ(again->describe(), model->describe());
  EXPECT_EQ(again->parameter_count(), model->parameter_count());
}

INSTANTIATE_TEST_SUITE_P(All, DetrTest, testing::ValuesIn(configs()),
                         [](const auto& entry) { return entry.param.name; });

TEST(Detr, GradientsOfTheTransformerAreTheSlopes) {
  for (const bool pre_norm : {false, true}) {
    DetrConfig config = small();
    config.pre_norm = pre_norm;
    config.position_embedding_type = PositionEmbedding::learned;
    Detr model(config, "detr");
    vit::test::fill_leaves(model);
    const Tensor pixels = random_tensor({1, 3, 32, 48}, 1, 0.3f), mask = mask_of(pixels, 36);
    vit::test::expect_directional_derivatives(
        model,
        [&](Context& ctx) { return answers(model, ctx, {.images = pixels, .pixel_mask = mask, .all_levels = true}); },
        {0.02, 0.005, 0.001});
  }
}

TEST(Detr, EveryLayerAnswersWhereAskedAndTheLastAnswerIsTheSame) {
  Detr model(small(), "detr");
  vit::test::fill_leaves(model);
  const Tensor pixels = random_tensor({2, 3, 32, 48}, 1);
  Context ctx;
  const auto one = model.detect(ctx, {.images = pixels}).levels;
  const auto all = model.detect(ctx, {.images = pixels, .all_levels = true}).levels;
  ASSERT_EQ(one.size(), 1u);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].logits.shape(), (vit::Shape{2, 5, 4}));
  EXPECT_EQ(all[0].boxes.shape(), (vit::Shape{2, 5, 4}));
  EXPECT_TRUE(vit::test::same_bits(one[0].logits.value(), all[1].logits.value()));
  EXPECT_TRUE(vit::test::same_bits(one[0].boxes.value(), all[1].boxes.value()));
  EXPECT_FALSE(vit::test::same_bits(all[0].logits.value(), all[1].logits.value()));
  for (float v : one[0].boxes.value().span<float>()) EXPECT_TRUE(v >= 0.0f && v <= 1.0f) << v;
}

TEST(Detr, WhatLiesInPaddingDoesNotMatter) {
  DetrConfig config = small();
  config.backbone_map = 0;  // so that few pixels reach a cell
  Detr model(config, "detr");
  vit::test::fill_leaves(model);
  const Tensor pixels = random_tensor({2, 3, 32, 96}, 1), mask = mask_of(pixels, 40);
  Tensor other = pixels.clone();
  for (int64_t i = 0; i < other.numel(); ++i)
    if (i % 96 >= 72) other.f32()[i] = 7.0f;
  Context ctx;
  const auto run = [&](const Tensor& images, const Tensor& seen) {
    return answers(model, ctx, {.images = images, .pixel_mask = seen}).value().clone();
  };
  EXPECT_TRUE(vit::test::same_bits(run(pixels, mask), run(other, mask)));
  EXPECT_FALSE(vit::test::same_bits(run(pixels, {}), run(other, {})));
  EXPECT_FALSE(vit::test::same_bits(run(pixels, mask), run(pixels, {})));
  EXPECT_TRUE(vit::test::same_bits(run(pixels, mask_of(pixels, 96)), run(pixels, {}))) << "a mask of ones is none";
}

TEST(Detr, RefusesMasksThatAreNone) {
  Detr model(small(), "detr");
  vit::test::fill_leaves(model);
  const Tensor pixels = random_tensor({2, 3, 32, 48}, 1);
  const auto failure = [&](const Tensor& mask) {
    return vit::test::failure([&] {
      Context ctx;
      model.detect(ctx, {.images = pixels, .pixel_mask = mask});
    });
  };
  EXPECT_THAT(failure(Tensor::zeros({2, 32, 48}, vit::DType::i64)), HasSubstr("image 0 leaves no cell"));
  EXPECT_THAT(failure(Tensor::zeros({2, 32, 47}, vit::DType::i64)), HasSubstr("must be i64 [2, 32, 48]"));
  EXPECT_THAT(failure(Tensor::zeros({2, 32, 48})), HasSubstr("got f32"));
}

TEST(Detr, AnotherHeadAndAnotherSize) {
  Detr model(small(), "detr");
  vit::initialise_parameters(model, 1, vit::Purpose::training);
  const std::vector<std::string> fresh = model.replace_head(7);
  EXPECT_THAT(fresh, testing::ElementsAre("class_labels_classifier.weight", "class_labels_classifier.bias"));
  EXPECT_EQ(model.info().num_classes, 7);
  model.visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    const bool is_new = std::find(fresh.begin(), fresh.end(), name) != fresh.end();
    EXPECT_EQ(parameter.value.defined(), !is_new) << name;
    if (is_new) vit::initialise_parameter(name, parameter, 1);
  });
  Context ctx;
  EXPECT_EQ(model.forward(ctx, random_tensor({1, 3, 40, 24}, 1)).shape(), (vit::Shape{1, 5, 8}));
  model.set_input_size(64, 40);
  EXPECT_EQ(model.info().input_size, (std::array<int64_t, 2>{64, 40}));
  EXPECT_EQ(model.describe().get("img_size").description(), vit::write_config(model.info().input_size).description());
  EXPECT_THROW(model.replace_head(0), vit::Error);
}

TEST(Detr, DropoutIsForTrainingOnly) {
  DetrConfig config = small();
  config.attention_dropout = 0.3f;
  Detr model(config, "detr");
  vit::test::fill_leaves(model);
  const Tensor pixels = random_tensor({1, 3, 32, 48}, 1);
  const auto run = [&](bool training, uint64_t seed) {
    Context ctx;
    ctx.training = training;
    ctx.seed = seed;
    return model.forward(ctx, pixels).value().clone();
  };
  EXPECT_TRUE(vit::test::same_bits(run(false, 1), run(false, 2)));
  EXPECT_TRUE(vit::test::same_bits(run(true, 1), run(true, 1)));
  EXPECT_FALSE(vit::test::same_bits(run(true, 1), run(true, 2)));
}

TEST(Detr, RefusesConfigurationsThatMakeNoModel) {
  const auto refused = [](const auto& change) {
    DetrConfig config = small();
    change(config);
    return vit::test::usage_error([&] { Detr(config, "detr"); });
  };
  EXPECT_THAT(refused([](DetrConfig& c) { c.backbone = {}; }), HasSubstr("`backbone`"));
  EXPECT_THAT(refused([](DetrConfig& c) { c.backbone_map = 2; }), HasSubstr("map 2"));
  EXPECT_THAT(refused([](DetrConfig& c) { c.d_model = 18; }), HasSubstr("18"));
  EXPECT_THAT(refused([](DetrConfig& c) { c.decoder_attention_heads = 3; }), HasSubstr("num_heads 3"));
  EXPECT_THAT(
      refused([](DetrConfig& c) { c.backbone = vit::ConfigNode::parse("{type: vit, patch_size: [16, 8]}", "test"); }),
      HasSubstr("no feature maps"));
}

TEST(Detr, LearnedPositionsHaveAnEnd) {
  DetrConfig config = small();
  config.position_embedding_type = PositionEmbedding::learned;
  Detr model(config, "detr");
  vit::test::fill_leaves(model);
  Context ctx;
  EXPECT_THAT(vit::test::failure([&] { model.forward(ctx, Tensor::zeros({1, 3, 16, 51 * 8})); }), HasSubstr("50"));
}

}  // namespace
}  // namespace detection
