// TimeSformer: what only time changes, configurations, checkpoints of Hugging Face, other sizes, and training. Outputs
// are compared with a plain definition by tests/goldens/H1*.
#include "vit/models/timesformer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/hugging_face_checkpoint.h"
#include "tests/support/model_check.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tolerance.h"
#include "vit/autograd/tape.h"
#include "vit/models/build.h"
#include "vit/models/load.h"

namespace vit {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TimesformerConfig small(ClipAttention type = ClipAttention::divided_space_time) {
  TimesformerConfig config;
  config.num_frames = 3;
  config.img_size = {8, 8};
  config.patch_size = 4;
  config.embed_dim = 12;
  config.depth = 2;
  config.num_heads = 3;
  config.mlp_hidden = 20;
  config.num_classes = 5;
  config.attention_type = type;
  return config;
}

Tensor clips(int64_t batch = 2) { return test::random_tensor({batch, 3, 3 * 8, 8}, 1); }

/// The same clips with their frames in another order.
Tensor reordered(const Tensor& strips, const std::vector<int64_t>& order) {
  Tensor result = Tensor::empty(strips.shape());
  const int64_t plane = 8 * 8, frames = 3;
  for (int64_t picture = 0; picture < strips.size(0) * strips.size(1); ++picture)
    for (int64_t t = 0; t < frames; ++t)
      std::memcpy(result.f32() + (picture * frames + t) * plane,
                  strips.f32() + (picture * frames + order[static_cast<size_t>(t)]) * plane,
                  static_cast<size_t>(plane) * sizeof(float));
  return result;
}

Tensor logits_of(const TimesformerConfig& config, const Tensor& strips) {
  Timesformer model(config, "timesformer");
  test::fill_leaves(model);
  Context ctx;
  return model.forward(ctx, strips).value().clone();
}

struct NamedConfig {
  std::string name;
  TimesformerConfig config;
};

std::vector<NamedConfig> configs() {
  std::vector<NamedConfig> all;
  for (const auto& [type, name] : enum_names(ClipAttention{})) all.push_back({name, small(type)});
  TimesformerConfig stem = small();
  stem.stem = ConvStemOptions{.channels = {6, 8}, .strides = {2, 2}};
  stem.global_pool = Pool::avg;
  stem.sincos = true;
  all.push_back({"stem", stem});
  return all;
}

class TimesformerForms : public testing::TestWithParam<NamedConfig> {
 protected:
  static test::MakeModel make() {
    return [config = GetParam().config] { return std::make_unique<Timesformer>(config, "timesformer"); };
  }
};

TEST_P(TimesformerForms, TapeAndPreparedWeights) { test::expect_same_with_and_without_tape(make(), clips()); }
TEST_P(TimesformerForms, Slopes) { test::expect_slopes(make(), clips()); }
TEST_P(TimesformerForms, Checkpointing) { test::expect_same_when_checkpointing(make(), clips()); }
TEST_P(TimesformerForms, AnyThreads) { test::expect_same_on_any_threads(make(), clips()); }

TEST_P(TimesformerForms, DescribesItself) {
  const auto model = make()();
  const auto again = build_model(model->describe(), "again");
  EXPECT_EQ(again->describe(), model->describe());
  EXPECT_EQ(again->parameter_count(), model->parameter_count());
}

INSTANTIATE_TEST_SUITE_P(All, TimesformerForms, testing::ValuesIn(configs()),
                         [](const auto& item) { return item.param.name; });

TEST(Timesformer, OnlyTimeKnowsTheOrderOfFrames) {
  const Tensor forwards = clips(), backwards = reordered(forwards, {2, 1, 0});
  const auto differs = [&](ClipAttention type) {
    const Tensor a = logits_of(small(type), forwards), b = logits_of(small(type), backwards);
    return test::relative_l2(a.f32(), b.f32(), a.numel());
  };
  EXPECT_GT(differs(ClipAttention::divided_space_time), 0.01);
  EXPECT_GT(differs(ClipAttention::joint_space_time), 0.01);
  EXPECT_LT(differs(ClipAttention::space_only), 1e-5);
}

TEST(Timesformer, ClipsOfABatchDoNotMix) {
  const Tensor both = clips(2);
  const Tensor together = logits_of(small(), both), alone = logits_of(small(), both.slice(1, 2));
  EXPECT_LT(test::relative_l2(together.f32() + 5, alone.f32(), 5), 1e-5);
}

TEST(Timesformer, TrainingBeginsWithAModelOfFrames) {
  // temporal_fc of later blocks is zero, as is the time table: of one block after the first time has no effect.
  Timesformer model(small(), "timesformer");
  initialise_parameters(model, 1, Purpose::training);
  std::map<std::string, double> norms;
  model.visit_parameters([&](const std::string& name, Parameter& parameter) {
    for (int64_t i = 0; i < parameter.value.value().numel(); ++i)
      norms[name] += std::abs(static_cast<double>(parameter.value.value().f32()[i]));
  });
  EXPECT_GT(norms.at("blocks.0.temporal_fc.weight"), 0.0);
  EXPECT_EQ(norms.at("blocks.1.temporal_fc.weight"), 0.0);
  EXPECT_EQ(norms.at("time_embed"), 0.0);
}

TEST(Timesformer, ObserversSeeAttentionAmongAllTokens) {
  struct Keep : Observer {
    bool wants(const std::string& name) override { return name.ends_with("probs") || name.ends_with("layout"); }
    void observe(const std::string& name, const Tensor& value) override { seen[name] = value.clone(); }
    std::map<std::string, Tensor> seen;
  } keep;
  Timesformer model(small(), "timesformer");
  test::fill_leaves(model);
  Context ctx;
  ctx.observer = &keep;
  model.forward(ctx, clips());
  for (const std::string name : {"blocks.1.temporal_attn.", "blocks.1.attn."}) {
    const Tensor& probs = keep.seen.at(name + "probs");
    ASSERT_EQ(probs.shape(), (Shape{2, 3, 13, 13}));
    EXPECT_EQ(keep.seen.at(name + "layout").f32()[1], 6.0f) << "rows of patches in the strip";
    for (int64_t row = 0; row < 2 * 3 * 13; ++row) {
      double sum = 0.0;
      for (int64_t k = 0; k < 13; ++k) sum += static_cast<double>(probs.f32()[row * 13 + k]);
      ASSERT_NEAR(sum, 1.0, 1e-5);
    }
  }
  // Patch 0 of frame 0 sees its own place in time, and its own frame in space.
  const float* in_time = keep.seen.at("blocks.1.temporal_attn.probs").f32() + 13;
  const float* in_space = keep.seen.at("blocks.1.attn.probs").f32() + 13;
  EXPECT_GT(in_time[5], 0.0f);
  EXPECT_EQ(in_time[2], 0.0f);
  EXPECT_GT(in_space[2], 0.0f);
  EXPECT_EQ(in_space[5], 0.0f);
}

TEST(Timesformer, ObserversSeeGradientsOnTheWayBack) {
  struct Keep : Observer {
    bool wants(const std::string& name) override {
      return name.find("probs") != name.npos || name.find("norm1") != name.npos;
    }
    void observe(const std::string& name, const Tensor& value) override { seen[name] = value.clone(); }
    std::map<std::string, Tensor> seen;
  };
  for (const ClipAttention type : {ClipAttention::divided_space_time, ClipAttention::space_only}) {
    Timesformer model(small(type), "timesformer");
    initialise_parameters(model, 1, Purpose::training);
    Keep keep;
    Context ctx;
    ctx.observer = &keep;
    Tape tape(ctx);
    ctx.tape = &tape;
    const Var input = Var::leaf(clips());
    const Var logits = model.forward(ctx, input);
    tape.backward(logits, test::random_tensor(logits.shape(), 4));
    const Tensor seen = input.grad().clone();
    EXPECT_EQ(keep.seen.at("blocks.1.attn.probs.grad").shape(), (Shape{2, 3, 13, 13}));
    EXPECT_EQ(keep.seen.at("blocks.1.norm1").shape(), (Shape{2, 13, 12}));
    EXPECT_EQ(keep.seen.at("blocks.1.norm1.grad").shape(), (Shape{2, 13, 12}));
    EXPECT_EQ(keep.seen.count("blocks.0.temporal_attn.probs.grad"), type == ClipAttention::space_only ? 0u : 1u);
    // Nobody's looking changes the gradient.
    Context alone;
    Tape other(alone);
    alone.tape = &other;
    const Var again = Var::leaf(clips());
    const Var unseen = model.forward(alone, again);
    other.backward(unseen, test::random_tensor(unseen.shape(), 4));
    EXPECT_LT(test::relative_l2(seen.f32(), again.grad().f32(), seen.numel()), 1e-5);
  }
}

TEST(Timesformer, FramesOfAnotherSize) {
  Timesformer model(small(), "timesformer");
  initialise_parameters(model, 1);
  EXPECT_EQ(model.info().input_size, (std::array<int64_t, 2>{24, 8}));
  EXPECT_EQ(model.frame_size(), (std::array<int64_t, 2>{8, 8}));
  model.set_input_size(36, 12);
  EXPECT_EQ(model.frame_size(), (std::array<int64_t, 2>{12, 12}));
  model.set_input_size(16, 16);  // a square is a frame
  EXPECT_EQ(model.info().input_size, (std::array<int64_t, 2>{48, 16}));
  Context ctx;
  EXPECT_EQ(model.forward(ctx, test::random_tensor({1, 3, 48, 16}, 2)).shape(), (Shape{1, 5}));
  EXPECT_THAT(test::failure([&] { model.forward(ctx, clips()); }), HasSubstr("the frames beneath one another, got"));
  EXPECT_THAT(test::usage_error([&] { model.set_input_size(25, 8); }), HasSubstr("25 rows are no multiple"));
  EXPECT_THAT(test::usage_error([&] { model.set_input_size(10, 10); }), HasSubstr("do not fill a frame of 10 x 10"));
}

TEST(Timesformer, TablesOfOtherSizesTakeTheNearestEntry) {
  const Timesformer model(small(), "timesformer");  // 2 x 2 places, 3 frames
  Tensor table = Tensor::zeros({1, 1 + 16, 12});
  for (int64_t row = 0; row < 17; ++row) table.f32()[row * 12] = static_cast<float>(row);
  const Tensor places = model.adapt_parameter("pos_embed", {1, 5, 12}, table);
  ASSERT_EQ(places.shape(), (Shape{1, 5, 12}));
  std::vector<float> rows;
  for (int64_t row = 0; row < 5; ++row) rows.push_back(places.f32()[row * 12]);
  EXPECT_EQ(rows, (std::vector<float>{0, 1, 3, 9, 11}));
  Tensor times = Tensor::zeros({1, 6, 12});
  for (int64_t row = 0; row < 6; ++row) times.f32()[row * 12] = static_cast<float>(row);
  EXPECT_EQ(model.adapt_parameter("time_embed", {1, 3, 12}, times).f32()[12], 2.0f);
  EXPECT_EQ(model.adapt_parameter("pos_embed", {1, 5, 12}, Tensor::zeros({1, 4, 12})).size(1), 4) << "no square";
}

TEST(Timesformer, CodesTellPlaceAndTime) {
  TimesformerConfig config = small();
  config.embed_dim = 24;
  const Tensor codes = config.codes();
  ASSERT_EQ(codes.shape(), (Shape{1, 12, 24}));
  const auto token = [&](int64_t i) { return std::vector<float>(codes.f32() + i * 24, codes.f32() + (i + 1) * 24); };
  for (int64_t i = 0; i < 12; ++i)
    for (int64_t j = 0; j < i; ++j) EXPECT_NE(token(i), token(j)) << i << " " << j;
  // The same place at another time differs in the first half alone; the slowest cosine falls all the way.
  const std::vector<float> early = token(1), late = token(5);
  EXPECT_TRUE(std::equal(early.begin() + 12, early.end(), late.begin() + 12));
  EXPECT_GT(token(0)[1], token(4)[1]);
  EXPECT_GT(token(4)[1], token(8)[1]);
}

TEST(Timesformer, AnotherHead) {
  Timesformer model(small(), "timesformer");
  EXPECT_EQ(model.replace_head(9), (std::vector<std::string>{"head.weight", "head.bias"}));
  initialise_parameters(model, 1);
  Context ctx;
  EXPECT_EQ(model.forward(ctx, clips()).shape(), (Shape{2, 9}));
}

json hugging_face(const std::string& type) {
  return {{"model_type", "timesformer"},
          {"architectures", {"TimesformerForVideoClassification"}},
          {"image_size", 8},
          {"patch_size", 4},
          {"num_frames", 3},
          {"hidden_size", 12},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 3},
          {"intermediate_size", 20},
          {"attention_type", type},
          {"qkv_bias", false},
          {"num_labels", 5}};
}

TEST(Timesformer, CheckpointsOfHuggingFace) {
  for (const auto& [type, name] : enum_names(ClipAttention{})) {
    const test::TempDir dir;
    test::write_hugging_face_checkpoint(dir.path(), hugging_face(name), 3);
    const auto model = load_model(Checkpoint::open(dir.path().string()));
    const auto& timesformer = dynamic_cast<const Timesformer&>(*model);
    EXPECT_EQ(timesformer.config().attention_type, type);
    EXPECT_EQ(timesformer.config().attention.get("qkv_bias").text(), "false");
    EXPECT_EQ(timesformer.info().num_classes, 5);
    Context ctx;
    EXPECT_EQ(model->forward(ctx, clips()).shape(), (Shape{2, 5}));
  }
}

TEST(Timesformer, DefaultsAreThePapersModel) {
  const ModelPlan plan = plan_model({json{{"model_type", "timesformer"}}, "config.json"});
  const auto& config = dynamic_cast<const Timesformer&>(*plan.model).config();
  EXPECT_EQ(config.num_frames, 8);
  EXPECT_EQ(config.embed_dim, 768);
  EXPECT_EQ(config.clip().grid.count(), 196);
  EXPECT_EQ(config.attention_type, ClipAttention::divided_space_time);
  EXPECT_EQ(config.num_classes, 0) << "the bare model has no head";
  const std::vector<std::string> theirs = checkpoint_names(plan.keys, "blocks.7.temporal_attn.qkv.weight");
  EXPECT_EQ(theirs, std::vector<std::string>{"encoder.layer.7.temporal_attention.attention.qkv.weight"});
}

TEST(Timesformer, RefusesWhatMakesNoModel) {
  const auto refused = [](const std::string& options) {
    return test::usage_error(
        [&] { build_model(ConfigNode::parse("{type: timesformer, " + options + "}", "t.yaml"), "t"); });
  };
  EXPECT_THAT(refused("num_heads: 5"), HasSubstr("divisible by num_heads 5"));
  EXPECT_THAT(refused("img_size: [224, 220]"), HasSubstr("do not fill a frame of 224 x 220"));
  EXPECT_THAT(refused("attention_type: space"), HasSubstr("space_only"));
  EXPECT_THAT(refused("attention_type: space_only, temporal_attention: self"), HasSubstr("divided_space_time alone"));
  EXPECT_THAT(refused("depth: 2, attention: [self]"), HasSubstr("depth = 2, got 1"));
  EXPECT_THAT(refused("global_pool: max"), HasSubstr("'token' or 'avg'"));
  EXPECT_THAT(refused("stem: {channels: [8], strides: [2]}"), HasSubstr("patches of 2"));
  json config = hugging_face("sideways");
  EXPECT_THAT(test::usage_error([&] { plan_model({config, "config.json"}); }), HasSubstr("'joint_space_time'"));
  config = hugging_face("space_only");
  config["patch_size"] = {4, 2};
  EXPECT_THAT(test::usage_error([&] { plan_model({config, "config.json"}); }), HasSubstr("square patch"));
  Timesformer model(small(), "timesformer");
  EXPECT_THAT(test::usage_error([&] { model.set_training({.patch_drop_rate = 0.1f}); }), HasSubstr("patch dropout"));
}

}  // namespace
}  // namespace vit
