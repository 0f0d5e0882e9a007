// RT-DETR: what every model promises, other sizes and options, denoising in training, heads and descriptions.
// Hugging Face's own numbers are the parity case B6.
#include "detection/rt_detr.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_check.h"
#include "vit/autograd/tape.h"
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

/// Without kinks, for slopes; the queries' choice stays, for it hangs on numbers that are far apart.
RtDetrConfig small() {
  RtDetrConfig config;
  config.img_size = {64, 48};
  config.num_classes = 3;
  config.backbone = vit::ConfigNode::parse(
      "{type: resnet, block: basic, layers: [1, 1, 1, 1], channels: [6, 8, 8, 8], stem_channels: 6, act: silu, "
      "replace_stem_pool: true}",
      "test");
  config.encoder_hidden_dim = 12;
  config.encoder_ffn_dim = 16;
  config.encoder_attention_heads = 2;
  config.csp_blocks = 1;
  config.d_model = 16;
  config.num_queries = 5;
  config.decoder_layers = 2;
  config.decoder_ffn_dim = 16;
  config.decoder_attention_heads = 2;
  config.decoder_n_points = 2;
  config.decoder_activation_function = vit::Activation::gelu;
  config.num_denoising = 6;
  return config;
}

struct NamedConfig {
  std::string name;
  RtDetrConfig config;
};

std::vector<NamedConfig> configs() {
  std::vector<NamedConfig> all = {{"plain", small()}};
  const auto add = [&](const std::string& name, const auto& change) {
    RtDetrConfig config = small();
    change(config);
    all.push_back({name, config});
  };
  add("more_levels", [](RtDetrConfig& c) { c.num_feature_levels = 5; });
  add("two_maps", [](RtDetrConfig& c) {
    c.backbone_maps = {2, 3}, c.encode_proj_layers = {1}, c.num_feature_levels = 2;
  });
  add("narrow_fusions", [](RtDetrConfig& c) { c.hidden_expansion = 0.5; });
  add("no_attention", [](RtDetrConfig& c) { c.encoder_layers = 0; });
  add("attention_twice_normalised_first", [](RtDetrConfig& c) {
    c.encode_proj_layers = {1, 2}, c.encoder_layers = 2, c.normalize_before = true;
  });
  add("learned_queries", [](RtDetrConfig& c) { c.learn_initial_query = true; });
  add("published_positions", [](RtDetrConfig& c) { c.row_major_positions = false; });
  add("dropout", [](RtDetrConfig& c) { c.dropout = c.attention_dropout = c.activation_dropout = 0.2f; });
  add("no_denoising", [](RtDetrConfig& c) { c.num_denoising = 0; });
  return all;
}

class RtDetrTest : public testing::TestWithParam<NamedConfig> {
 protected:
  vit::test::MakeModel make_ = [] { return std::make_unique<RtDetr>(GetParam().config, GetParam().name); };
  Tensor pixels_ = random_tensor({2, 3, 64, 48}, 1, 0.3f);
};

TEST_P(RtDetrTest, FoldedWeightsChangeNoNumbers) { vit::test::expect_same_with_and_without_tape(make_, pixels_, 4000); }

TEST_P(RtDetrTest, AnyThreadsGiveTheSameBits) { vit::test::expect_same_on_any_threads(make_, pixels_); }

TEST_P(RtDetrTest, TheDescriptionMakesItAgain) {
  const auto model = make_();
  const auto again = vit::build_model(model->describe(), "again");
  EXPECT_EQ(again->describe(), model->describe());
  EXPECT_EQ(again->parameter_count(), model->parameter_count());
}

std::vector<vit::BoxTargets> targets() {
  const auto image = [](int64_t count) {
    vit::BoxTargets result{Tensor::empty({count, 4}), Tensor::empty({count}, vit::DType::i64)};
    for (int64_t i = 0; i < count; ++i) {
      const auto place = 0.3f + 0.2f * static_cast<float>(i);
      for (int64_t n = 0; n < 4; ++n) result.boxes.f32()[4 * i + n] = n < 2 ? place : 0.2f;
      result.labels.data<int64_t>()[i] = i;
    }
    return result;
  };
  return {image(2), image(1)};
}

/// All that the losses read, squared, in one row.
Var everything(Context& ctx, const DetectionOutput& output) {
  std::vector<Var> parts;
  const auto add = [&](const DetectionLevel& level) {
    for (const Var& part : {level.logits, level.boxes})
      parts.push_back(vit::reshape(ctx, vit::square(ctx, part), {1, part.value().numel()}));
  };
  for (const DetectionLevel& level : output.levels) add(level);
  add(*output.proposals);
  if (output.denoising)
    for (const DetectionLevel& level : output.denoising->levels) add(level);
  return vit::concat(ctx, parts, 1);
}

TEST_P(RtDetrTest, TrainingHasDenoisingQueriesAndAGradientForEveryParameter) {
  const std::unique_ptr<RtDetr> model = std::make_unique<RtDetr>(GetParam().config, "training");
  vit::test::fill_leaves(*model);
  Context ctx;
  ctx.training = true;
  ctx.seed = 3;
  const std::vector<vit::BoxTargets> wanted = targets();
  const bool denoising = GetParam().config.num_denoising > 0;
  const auto gradients = vit::test::gradients_of(*model, ctx, [&](Context& inner) {
    const DetectionOutput output = model->detect(inner, {.images = pixels_, .all_levels = true, .targets = &wanted});
    EXPECT_EQ(output.levels.size(), 2u);
    EXPECT_EQ(output.levels[0].logits.shape(), vit::Shape({2, 5, 3}));
    EXPECT_EQ(output.denoising.has_value(), denoising);
    if (output.denoising) {
      EXPECT_EQ(output.denoising->groups, 3);
      EXPECT_EQ(output.denoising->levels[1].boxes.shape(), vit::Shape({2, 12, 4}));
      EXPECT_EQ(output.denoising->matches[0].size(), 6u);
    }
    return everything(inner, output);
  });
  model->visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    EXPECT_TRUE(parameter.buffer || gradients.count(name)) << name;
  });
}

TEST_P(RtDetrTest, DenoisingQueriesAreSeenByNoOther) {
  RtDetrConfig config = GetParam().config;
  config.dropout = config.attention_dropout = config.activation_dropout = 0.0f;
  const std::unique_ptr<RtDetr> model = std::make_unique<RtDetr>(config, "apart");
  vit::test::fill_leaves(*model);
  // Batch norms of frozen statistics: what differs then is what queries see of each other.
  model->visit_parameters([](const std::string&, vit::Parameter& p) { p.value = Var(p.value.value()); });
  Context ctx;
  ctx.training = true;
  const std::vector<vit::BoxTargets> wanted = targets();
  const Tensor without = model->detect(ctx, {.images = pixels_}).levels.back().boxes.value().clone();
  const Tensor with = model->detect(ctx, {.images = pixels_, .targets = &wanted}).levels.back().boxes.value().clone();
  vit::test::expect_close(without, with);
}

TEST_P(RtDetrTest, AHeadForOtherClassesHasTheNamesItSays) {
  const auto model = make_();
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
  EXPECT_EQ(model->forward(ctx, pixels_).shape(), vit::Shape({2, 5, 7}));
  EXPECT_EQ(vit::build_model(model->describe(), "again")->info().num_classes, 7);
}

INSTANTIATE_TEST_SUITE_P(All, RtDetrTest, testing::ValuesIn(configs()),
                         [](const auto& entry) { return entry.param.name; });

/// The decoder's references are cut off from the gradient between its layers (section 4.3's iterative refinement, after
/// Zhu et al. 2021, A.3): the last layer's boxes do not train the first layer's head.
TEST(RtDetrGradientTest, ReferencesAreConstantsBetweenLayers) {
  RtDetr model(small(), "detached");
  vit::test::fill_leaves(model);
  Context ctx;
  const Tensor images = random_tensor({1, 3, 64, 48}, 1, 0.3f);
  const auto gradients = vit::test::gradients_of(
      model, ctx, [&](Context& inner) { return model.detect(inner, {.images = images}).levels.back().boxes; });
  EXPECT_TRUE(gradients.count("decoder.bbox_embed.1.layers.2.weight"));
  EXPECT_FALSE(gradients.count("decoder.bbox_embed.0.layers.2.weight"));
  EXPECT_FALSE(gradients.count("enc_bbox_head.layers.2.weight"));
  EXPECT_TRUE(gradients.count("backbone.conv1.weight"));
}

TEST(RtDetrSizeTest, ImagesOfAnyExtentsHaveMapsThatFit) {
  const RtDetrConfig config = small();
  RtDetr model(config, "sizes");
  vit::initialise_parameters(model, 1);
  Context ctx;
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{65, 47}, {40, 100}, {96, 33}})
    EXPECT_EQ(model.forward(ctx, random_tensor({1, 3, height, width}, 1, 0.3f)).shape(), vit::Shape({1, 5, 3}));
  EXPECT_THAT(vit::test::failure([&] {
                model.forward(ctx, random_tensor({1, 3, 8, 8}, 1));
              }),
              HasSubstr("larger images or fewer queries"));
}

/// Boxes are shares of the picture: of an image whose right half is padding they are twice as wide.
TEST(RtDetrSizeTest, AMaskMakesBoxesSharesOfThePicture) {
  RtDetr model(small(), "padded");
  vit::initialise_parameters(model, 1);
  const Tensor images = random_tensor({1, 3, 64, 48}, 1, 0.3f);
  Tensor mask = Tensor::zeros({1, 64, 48}, vit::DType::i64);
  for (int64_t i = 0; i < mask.numel(); ++i) mask.data<int64_t>()[i] = i % 48 < 24;
  Context ctx;
  const Tensor plain = model.detect(ctx, {.images = images}).levels.back().boxes.value().clone();
  const Tensor shares = model.detect(ctx, {.images = images, .pixel_mask = mask}).levels.back().boxes.value();
  for (int64_t i = 0; i < plain.numel(); ++i)
    EXPECT_FLOAT_EQ(shares.f32()[i], plain.f32()[i] * (i % 2 == 0 ? 2.0f : 1.0f));
  EXPECT_THAT(vit::test::failure([&] {
                model.detect(ctx, {.images = images, .pixel_mask = Tensor::zeros({1, 64, 48}, vit::DType::i64)});
              }),
              HasSubstr("no picture"));
}

TEST(RtDetrConfigTest, CombinationsThatMakeNoModelAreRefused) {
  const auto error = [](const auto& change) {
    RtDetrConfig config = small();
    change(config);
    return vit::test::usage_error([&] { RtDetr model(config, "bad"); });
  };
  EXPECT_THAT(error([](auto& c) { c.num_feature_levels = 2; }), HasSubstr("num_feature_levels"));
  EXPECT_THAT(error([](auto& c) { c.encode_proj_layers = {4}; }), HasSubstr("encode_proj_layers"));
  EXPECT_THAT(error([](auto& c) { c.backbone = vit::ConfigNode::parse("resnet", "x"); }), HasSubstr("expected a map"));
  EXPECT_THAT(error([](auto& c) { c.decoder_attention_heads = 3; }), HasSubstr("divisible"));
}

}  // namespace
}  // namespace detection
