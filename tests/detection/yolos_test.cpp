// YOLOS: what every model promises, position tables of other sizes, heads and descriptions. Hugging Face's own numbers
// are the parity cases B2.
#include "detection/yolos.h"

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

YolosConfig small() {
  YolosConfig config;
  config.img_size = {24, 32};
  config.patch_size = 8;
  config.num_classes = 3;
  config.num_queries = 4;
  config.embed_dim = 12;
  config.depth = 3;
  config.num_heads = 2;
  config.mlp_ratio = 2.0;
  return config;
}

struct NamedConfig {
  std::string name;
  YolosConfig config;
};

std::vector<NamedConfig> configs() {
  std::vector<NamedConfig> all = {{"plain", small()}};
  const auto add = [&](const std::string& name, const auto& change) {
    YolosConfig config = small();
    change(config);
    all.push_back({name, config});
  };
  add("mid_positions", [](YolosConfig& c) { c.mid_pos_embed = true; });
  add("one_block", [](YolosConfig& c) { c.mid_pos_embed = true, c.depth = 1; });
  add("linear_attention", [](YolosConfig& c) { c.attention = vit::ConfigNode::parse("linear", "test"); });
  return all;
}

class YolosTest : public testing::TestWithParam<NamedConfig> {
 protected:
  vit::test::MakeModel make_ = [] { return std::make_unique<Yolos>(GetParam().config, GetParam().name); };
  /// Of another size than the tables.
  Tensor pixels_ = random_tensor({2, 3, 32, 40}, 1, 0.5f);
};

TEST_P(YolosTest, PreparedWeightsChangeNoNumbers) {
  vit::test::expect_same_with_and_without_tape(make_, pixels_, 4000);
}

TEST_P(YolosTest, AnyThreadsGiveTheSameBits) { vit::test::expect_same_on_any_threads(make_, pixels_); }

TEST_P(YolosTest, CheckpointingGivesTheSameBits) { vit::test::expect_same_when_checkpointing(make_, pixels_); }

TEST_P(YolosTest, GradientsAreTheSlopes) {
  Yolos model(GetParam().config, "yolos");
  vit::test::fill_leaves(model);
  vit::test::expect_directional_derivatives(model,
                                            [&](Context& ctx) {
                                              const DetectionLevel level =
                                                  model.detect(ctx, {.images = pixels_}).levels.back();
                                              return vit::concat(ctx, {level.logits, level.boxes}, 2);
                                            },
                                            {0.02, 0.005, 0.001});
}

TEST_P(YolosTest, TablesOfAnotherSizeAtOnceOrInThePass) {
  const auto in_pass = make_(), at_once = make_();
  for (vit::ImageModel* model : {in_pass.get(), at_once.get()}) vit::initialise_parameters(*model, 1);
  at_once->set_input_size(32, 40);
  EXPECT_EQ(at_once->info().input_size, (std::array<int64_t, 2>{32, 40}));
  Context ctx;
  vit::test::expect_close(at_once->forward(ctx, pixels_).value(), in_pass->forward(ctx, pixels_).value());
  EXPECT_THROW(at_once->set_input_size(7, 40), vit::Error);
}

TEST_P(YolosTest, TheDescriptionMakesItAgain) {
  const auto model = make_();
  const auto again = vit::build_model(model->describe(), "again");
  EXPECT_EQ(again->describe(), model->describe());
  EXPECT_EQ(again->parameter_count(), model->parameter_count());
}

INSTANTIATE_TEST_SUITE_P(All, YolosTest, testing::ValuesIn(configs()),
                         [](const auto& entry) { return entry.param.name; });

TEST(Yolos, TheMaskIsNotRead) {
  Yolos model(small(), "yolos");
  vit::test::fill_leaves(model);
  EXPECT_FALSE(model.reads_mask());
  const Tensor pixels = random_tensor({1, 3, 24, 32}, 1);
  Context ctx;
  const Tensor without = model.forward(ctx, pixels).value().clone();
  const Tensor mask = Tensor::zeros({1, 24, 32}, vit::DType::i64);
  EXPECT_TRUE(vit::test::same_bits(
      without, model.detect(ctx, {.images = pixels, .pixel_mask = mask}).levels.back().logits.value()));
}

TEST(Yolos, PixelsThatFillNoPatchAreIgnored) {
  Yolos model(small(), "yolos");
  vit::test::fill_leaves(model);
  Tensor pixels = random_tensor({1, 3, 24, 32}, 1), larger = Tensor::full({1, 3, 31, 39}, 5.0f);
  for (int64_t row = 0; row < 3 * 24; ++row)
    std::copy_n(pixels.f32() + row * 32, 32, larger.f32() + (row / 24 * 31 + row % 24) * 39);
  Context ctx;
  EXPECT_TRUE(vit::test::same_bits(model.forward(ctx, pixels).value().clone(), model.forward(ctx, larger).value()));
  EXPECT_THAT(vit::test::failure([&] {
                model.forward(ctx, Tensor::zeros({1, 3, 7, 32}));
              }),
              HasSubstr("at least one patch"));
}

TEST(Yolos, AnotherHead) {
  Yolos model(small(), "yolos");
  vit::initialise_parameters(model, 1, vit::Purpose::training);
  const std::vector<std::string> fresh = model.replace_head(9);
  EXPECT_EQ(fresh.size(), 6u) << "three layers";
  model.visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    const bool is_new = name.starts_with("class_labels_classifier.");
    EXPECT_EQ(is_new, std::find(fresh.begin(), fresh.end(), name) != fresh.end()) << name;
    EXPECT_EQ(parameter.value.defined(), !is_new) << name;
    if (is_new) vit::initialise_parameter(name, parameter, 1);
  });
  Context ctx;
  EXPECT_EQ(model.forward(ctx, random_tensor({1, 3, 24, 32}, 1)).shape(), (vit::Shape{1, 4, 10}));
}

TEST(Yolos, RefusesConfigurationsThatMakeNoModel) {
  const auto refused = [](const auto& change) {
    YolosConfig config = small();
    change(config);
    return vit::test::usage_error([&] { Yolos(config, "yolos"); });
  };
  EXPECT_THAT(refused([](YolosConfig& c) { c.num_heads = 5; }), HasSubstr("num_heads 5"));
  EXPECT_THAT(refused([](YolosConfig& c) { c.img_size = {4, 32}; }), HasSubstr("smaller than a patch"));
  EXPECT_THAT(refused([](YolosConfig& c) { c.attention = vit::ConfigNode::parse("window", "test"); }),
              HasSubstr("grid"));
}

}  // namespace
}  // namespace detection
