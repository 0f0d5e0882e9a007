// Deformable DETR: what every model promises, padding, the three variants, heads and descriptions. Hugging Face's own
// numbers are the parity cases B6b and B6c.
#include "detection/deformable_detr.h"

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

/// Without kinks but those of interpolation.
DeformableDetrConfig small() {
  DeformableDetrConfig config;
  config.img_size = {32, 48};
  config.num_classes = 3;
  config.backbone = vit::ConfigNode::parse(
      "{type: resnet, block: basic, layers: [1, 1, 1], channels: [6, 8, 8], stem_channels: 6, act: silu, "
      "replace_stem_pool: true}",
      "test");
  config.backbone_maps = {1, 2};
  config.d_model = 32;
  config.num_feature_levels = 3;
  config.encoder_layers = config.decoder_layers = 2;
  config.encoder_ffn_dim = config.decoder_ffn_dim = 16;
  config.encoder_attention_heads = config.decoder_attention_heads = 4;
  config.encoder_n_points = config.decoder_n_points = 2;
  config.activation_function = vit::Activation::gelu;
  config.num_queries = 5;
  config.two_stage_num_proposals = 4;
  config.dropout = 0.0f;
  return config;
}

struct NamedConfig {
  std::string name;
  DeformableDetrConfig config;
};

std::vector<NamedConfig> configs() {
  std::vector<NamedConfig> all = {{"plain", small()}};
  const auto add = [&](const std::string& name, const auto& change) {
    DeformableDetrConfig config = small();
    change(config);
    all.push_back({name, config});
  };
  add("refine", [](DeformableDetrConfig& c) { c.with_box_refine = true; });
  add("two_stage", [](DeformableDetrConfig& c) { c.with_box_refine = c.two_stage = true; });
  add("one_map", [](DeformableDetrConfig& c) { c.backbone_maps = {2}, c.num_feature_levels = 1; });
  add("dropout", [](DeformableDetrConfig& c) { c.dropout = c.attention_dropout = c.activation_dropout = 0.2f; });
  add("more_levels", [](DeformableDetrConfig& c) { c.num_feature_levels = 4; });
  add("learned_positions", [](DeformableDetrConfig& c) { c.position_embedding_type = PositionKind::learned; });
  return all;
}

Tensor pixels() { return random_tensor({2, 3, 32, 48}, 1, 0.3f); }

/// The second picture is 20 x 31.
Tensor mask() {
  Tensor mask = Tensor::zeros({2, 32, 48}, vit::DType::i64);
  for (int64_t i = 0; i < mask.numel(); ++i) mask.data<int64_t>()[i] = i < 32 * 48 || (i / 48 % 32 < 20 && i % 48 < 31);
  return mask;
}

class DeformableDetrTest : public testing::TestWithParam<NamedConfig> {
 protected:
  std::unique_ptr<DeformableDetr> detector() const {
    return std::make_unique<DeformableDetr>(GetParam().config, GetParam().name);
  }
  vit::test::MakeModel make_ = [this] { return detector(); };
  Tensor pixels_ = pixels();
};

TEST_P(DeformableDetrTest, PackedWeightsChangeNoNumbers) {
  vit::test::expect_same_with_and_without_tape(make_, pixels_, 4000);
}

TEST_P(DeformableDetrTest, AnyThreadsGiveTheSameBits) { vit::test::expect_same_on_any_threads(make_, pixels_); }

TEST_P(DeformableDetrTest, TheDescriptionMakesItAgain) {
  const auto model = make_();
  const auto again = vit::build_model(model->describe(), "again");
  EXPECT_EQ(again->describe(), model->describe());
  EXPECT_EQ(again->parameter_count(), model->parameter_count());
}

TEST_P(DeformableDetrTest, WhatThePaddingHoldsDoesNotMatter) {
  const auto model = detector();
  vit::initialise_parameters(*model, 1);
  // Convolutions reach over the border, so that only pixels far from the picture can be told apart.
  Tensor other = pixels_.clone();
  for (int64_t i = other.numel() / 2; i < other.numel(); ++i)
    if (i % 48 >= 47) other.f32()[i] = 9.0f;
  Context ctx;
  const DetectionLevel a = model->detect(ctx, {.images = pixels_, .pixel_mask = mask()}).levels.back();
  const Tensor logits = a.logits.value().clone();
  const DetectionLevel b = model->detect(ctx, {.images = other, .pixel_mask = mask()}).levels.back();
  const int64_t half = logits.numel() / 2;
  EXPECT_TRUE(vit::test::same_bits(logits.slice(0, 1), b.logits.value().slice(0, 1)));
  for (int64_t i = half; i < 2 * half; ++i) EXPECT_NEAR(logits.f32()[i], b.logits.value().f32()[i], 0.2f);
  // A mask without padding is no mask.
  Tensor ones = Tensor::empty({2, 32, 48}, vit::DType::i64);
  std::fill_n(ones.data<int64_t>(), ones.numel(), 1);
  const Tensor plain = model->detect(ctx, {.images = pixels_}).levels.back().boxes.value().clone();
  EXPECT_TRUE(vit::test::same_bits(
      plain, model->detect(ctx, {.images = pixels_, .pixel_mask = ones}).levels.back().boxes.value()));
  ones = Tensor::empty({2, 32, 47}, vit::DType::i64);
  EXPECT_THAT(vit::test::failure([&] { model->detect(ctx, {.images = pixels_, .pixel_mask = ones}); }),
              HasSubstr("pixel mask"));
}

TEST_P(DeformableDetrTest, EveryLayerAnswersAndEveryParameterHasAGradient) {
  const auto model = detector();
  vit::test::fill_leaves(*model);
  Context ctx;
  ctx.training = true;
  const auto gradients = vit::test::gradients_of(*model, ctx, [&](Context& inner) {
    const DetectionOutput output = model->detect(inner, {.images = pixels_, .pixel_mask = mask(), .all_levels = true});
    EXPECT_EQ(output.levels.size(), 2u);
    EXPECT_EQ(output.proposals.has_value(), GetParam().config.two_stage);
    EXPECT_EQ(output.proposals_without_class, GetParam().config.two_stage);
    std::vector<Var> parts;
    const auto add = [&](const DetectionLevel& level) {
      for (const Var& part : {level.logits, level.boxes})
        parts.push_back(vit::reshape(inner, vit::square(inner, part), {1, part.value().numel()}));
    };
    for (const DetectionLevel& level : output.levels) add(level);
    if (output.proposals) add(*output.proposals);
    return vit::concat(inner, parts, 1);
  });
  model->visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    EXPECT_TRUE(parameter.buffer || gradients.count(name)) << name;
  });
}

TEST_P(DeformableDetrTest, AHeadForOtherClassesHasTheNamesItSays) {
  const auto model = detector();
  vit::initialise_parameters(*model, 1, vit::Purpose::training);
  const std::vector<std::string> names = model->replace_head(7);
  size_t without_value = 0;
  model->visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    if (parameter.value.defined()) return;
    ++without_value;
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
    vit::initialise_parameter(name, parameter, 1);
  });
  EXPECT_EQ(without_value, names.size());
  Context ctx;
  EXPECT_EQ(model->forward(ctx, pixels_).size(2), 7);
  EXPECT_EQ(model->info().num_classes, 7);
}

INSTANTIATE_TEST_SUITE_P(All, DeformableDetrTest, testing::ValuesIn(configs()),
                         [](const auto& entry) { return entry.param.name; });

/// In one stage without refinement nothing is cut off from the gradient.
TEST(DeformableDetrSlopesTest, GradientsAreTheSlopes) {
  DeformableDetrConfig config = small();
  config.encoder_layers = config.decoder_layers = 1;
  DeformableDetr model(config, "slopes");
  vit::test::fill_leaves(model);
  const Tensor images = pixels(), padding = mask();
  const auto pass = [&](Context& ctx) {
    const DetectionLevel level = model.detect(ctx, {.images = images, .pixel_mask = padding}).levels.back();
    return vit::concat(ctx, {level.logits, level.boxes}, -1);
  };
  vit::test::expect_directional_derivatives(model, pass, {0.02, 0.005, 0.002, 0.0007});
}

TEST(DeformableDetrConfigTest, CombinationsThatMakeNoModelAreRefused) {
  const auto error = [](const auto& change) {
    DeformableDetrConfig config = small();
    change(config);
    return vit::test::usage_error([&] { DeformableDetr model(config, "bad"); });
  };
  EXPECT_THAT(error([](auto& c) { c.two_stage = true; }), HasSubstr("with_box_refine"));
  EXPECT_THAT(error([](auto& c) { c.d_model = 40; }), HasSubstr("multiple of 32"));
  EXPECT_THAT(error([](auto& c) { c.num_feature_levels = 1; }), HasSubstr("num_feature_levels"));
  EXPECT_THAT(error([](auto& c) { c.backbone = {}; }), HasSubstr("`backbone`"));
  EXPECT_THAT(error([](auto& c) { c.backbone_maps = {2, 1}; }), HasSubstr("from fine to coarse"));
  EXPECT_THAT(error([](auto& c) { c.backbone_maps = {5}; }), HasSubstr("has 3 maps"));
  EXPECT_THAT(error([](auto& c) {
                c.backbone = vit::ConfigNode::parse("{type: vit, patch_size: [8, 4], embed_dim: 8, num_heads: 1}", "x");
              }),
              HasSubstr("no feature maps"));
}

TEST(DeformableDetrConfigTest, MoreProposalsThanCellsAreRefused) {
  DeformableDetrConfig config = small();
  config.with_box_refine = config.two_stage = true;
  config.two_stage_num_proposals = 300;
  DeformableDetr model(config, "few");
  vit::initialise_parameters(model, 1);
  Context ctx;
  EXPECT_THAT(vit::test::failure([&] { model.forward(ctx, pixels()); }), HasSubstr("larger images or fewer queries"));
}

}  // namespace
}  // namespace detection
