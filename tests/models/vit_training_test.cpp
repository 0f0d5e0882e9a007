// The vision transformer under training, for every shape of it: the numbers of inference, right gradients all the way
// down, the same ones with activation checkpointing and on any number of threads.
#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"
#include "tests/support/tolerance.h"
#include "vit/autograd/tape.h"
#include "vit/core/parallel.h"
#include "vit/models/vit.h"

namespace vit {
namespace {

using test::same_bits;

struct NamedConfig {
  std::string name;
  VitConfig config;
};

VitConfig small() {
  VitConfig config;
  config.img_size = {16, 16};
  config.patch_size = {4, 4};
  config.embed_dim = 12;
  config.depth = 2;
  config.num_heads = 3;
  config.num_classes = 5;
  return config;
}

ConvStemOptions stem(StemNorm norm) { return {.channels = {5, 8}, .strides = {2, 2}, .norm = norm}; }

std::vector<NamedConfig> configs() {
  std::vector<NamedConfig> all = {{"token", small()}};
  const auto add = [&](const std::string& name, const auto& change) {
    VitConfig config = small();
    change(config);
    all.push_back({name, config});
  };
  add("avg", [](VitConfig& c) { c.global_pool = Pool::avg, c.fc_norm = true; });
  add("avgmax_no_cls", [](VitConfig& c) { c.global_pool = Pool::avgmax, c.class_token = false; });
  add("token_and_avg", [](VitConfig& c) { c.global_pool = Pool::token_and_avg; });
  add("registers", [](VitConfig& c) { c.reg_tokens = 4, c.pos_prefix = PositionPrefix::none; });
  add("registers_cls_position", [](VitConfig& c) { c.reg_tokens = 2, c.pos_prefix = PositionPrefix::cls; });
  add("distilled", [](VitConfig& c) { c.distilled = true; });
  add("clip", [](VitConfig& c) { c.pre_norm = true, c.patch_bias = false, c.act = Activation::quick_gelu; });
  add("layer_scale", [](VitConfig& c) { c.init_values = 0.3f; });
  add("swiglu", [](VitConfig& c) { c.mlp_gated = true, c.mlp_ratio = 5.34, c.act = Activation::silu; });
  add("mlp_norm", [](VitConfig& c) { c.mlp_norm = NormKind::layer_norm; });
  add("rms_qk_norm", [](VitConfig& c) {
    c.norm = NormKind::rms_norm;
    c.attention = ConfigNode::parse("{type: self, qk_norm: rmsnorm, scale_norm: layernorm, qkv_bias: false}", "test");
  });
  add("layer_qk_norm",
      [](VitConfig& c) { c.attention = ConfigNode::parse("{type: self, qk_norm: layernorm}", "test"); });
  add("conv_stem", [](VitConfig& c) { c.stem = stem(StemNorm::layer_norm); });
  add("conv_stem_batch_norm", [](VitConfig& c) { c.stem = stem(StemNorm::batch_norm); });
  add("map_pool", [](VitConfig& c) { c.global_pool = Pool::map, c.class_token = false; });
  add("no_head", [](VitConfig& c) { c.num_classes = 0; });
  return all;
}

class VitTrainingTest : public testing::TestWithParam<NamedConfig> {
 protected:
  void SetUp() override { test::fill_leaves(model_); }
  Var forward(Context& ctx) const { return model_.forward(ctx, pixels_); }

  /// Gradients of a training step with everything on that draws random numbers.
  std::map<std::string, Tensor> training_gradients(bool checkpointing) {
    test::fill_leaves(model_);  // running statistics start anew
    model_.set_training({.drop_rate = 0.1f,
                         .pos_drop_rate = 0.1f,
                         .proj_drop_rate = 0.2f,
                         .drop_path_rate = 0.3f,
                         .grad_checkpointing = checkpointing});
    Context ctx;
    ctx.training = true;
    ctx.seed = 5;
    std::map<std::string, Tensor> all = test::gradients_of(model_, ctx, [&](Context& c) { return forward(c); });
    model_.visit_parameters([&](const std::string& name, Parameter& parameter) {
      if (parameter.buffer) all[name] = parameter.value.value();
    });
    return all;
  }

  static void expect_same(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (const auto& [name, gradient] : a) {
      ASSERT_TRUE(b.count(name)) << name;
      EXPECT_TRUE(same_bits(gradient, b.at(name))) << name;
    }
  }

  Vit model_{GetParam().config, GetParam().name};
  Tensor pixels_ = test::random_tensor({3, 3, 16, 16}, 1);
};

TEST_P(VitTrainingTest, RecordingChangesNoNumbers) {
  Context recording;
  Tape tape(recording);
  recording.tape = &tape;
  const Tensor recorded = forward(recording).value().clone();
  EXPECT_GT(tape.size(), 0u);
  model_.visit_modules([](const std::string&, Module& module) { module.prepare(); });
  Context ctx;
  const Tensor inferred = forward(ctx).value();
  ASSERT_EQ(recorded.shape(), inferred.shape());
  // The fused forms of inference round in another order: a chain of some hundred operations.
  EXPECT_LE(test::relative_l2(recorded.f32(), inferred.f32(), inferred.numel()), test::rounding_tolerance(400, 1.0));
}

TEST_P(VitTrainingTest, GradientsAreTheSlopes) {
  if (GetParam().config.global_pool == Pool::avgmax)
    GTEST_SKIP() << "a maximum has kinks within a difference's step; reduce_tokens has a test of its own";
  test::expect_directional_derivatives(model_, [&](Context& ctx) { return forward(ctx); });
}

TEST_P(VitTrainingTest, CheckpointingGivesTheSameBits) {
  const std::map<std::string, Tensor> plain = training_gradients(false);
  EXPECT_FALSE(plain.empty());
  expect_same(plain, training_gradients(true));
}

TEST_P(VitTrainingTest, SameBitsOnAnyNumberOfThreads) {
  set_num_threads(1);
  const std::map<std::string, Tensor> one = training_gradients(false);
  for (const int threads : {2, 8}) {
    set_num_threads(threads);
    expect_same(one, training_gradients(false));
  }
  set_num_threads(0);
}

INSTANTIATE_TEST_SUITE_P(Shapes, VitTrainingTest, testing::ValuesIn(configs()),
                         [](const auto& item) { return item.param.name; });

}  // namespace
}  // namespace vit
