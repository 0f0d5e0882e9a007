// RT-DETR: what every model promises, other sizes and options, denoising in training, heads and descriptions.
// Hugging Face's own numbers are the parity case B6.
#include "detection/rt_detr.h"

#include <gtest/gtest.h>

#include "detection/query_references.h"
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

INSTANTIATE_TEST_SUITE_P(All, RtDetrTest, testing::ValuesIn(configs()),
                         [](const auto& entry) { return entry.param.name; });

}  // namespace
}  // namespace detection
