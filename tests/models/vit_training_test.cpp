// The vision transformer under training, for every shape of it: the numbers of inference, right gradients all the way
// down, the same ones with activation checkpointing and on any number of threads.
#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "tests/support/model_check.h"
#include "vit/models/vit.h"

namespace vit {
namespace {

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
  test::MakeModel make_ = [] { return std::make_unique<Vit>(GetParam().config, GetParam().name); };
  Tensor pixels_ = test::random_tensor({3, 3, 16, 16}, 1);
};

TEST_P(VitTrainingTest, RecordingChangesNoNumbers) { test::expect_same_with_and_without_tape(make_, pixels_); }

TEST_P(VitTrainingTest, GradientsAreTheSlopes) {
  if (GetParam().config.global_pool == Pool::avgmax)
    GTEST_SKIP() << "a maximum has kinks within a difference's step; reduce_tokens has a test of its own";
  test::expect_slopes(make_, pixels_);
}

TEST_P(VitTrainingTest, CheckpointingGivesTheSameBits) { test::expect_same_when_checkpointing(make_, pixels_); }

TEST_P(VitTrainingTest, SameBitsOnAnyNumberOfThreads) { test::expect_same_on_any_threads(make_, pixels_); }

INSTANTIATE_TEST_SUITE_P(Shapes, VitTrainingTest, testing::ValuesIn(configs()),
                         [](const auto& item) { return item.param.name; });

}  // namespace
}  // namespace vit
