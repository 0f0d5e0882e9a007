// Properties that hold for every shape of the vision transformer; that its numbers are right is what the goldens say.
#include "vit/models/vit.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/errors.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/models/load.h"

namespace vit {
namespace {

struct NamedConfig {
  std::string name;
  VitConfig config;
};

VitConfig small() {
  VitConfig config;
  config.img_size = {32, 32};
  config.patch_size = {8, 8};
  config.embed_dim = 24;
  config.depth = 2;
  config.num_heads = 3;
  config.num_classes = 5;
  return config;
}

std::vector<NamedConfig> configs() {
  std::vector<NamedConfig> all = {{"token", small()}};
  const auto add = [&](const std::string& name, const auto& change) {
    VitConfig config = small();
    change(config);
    all.push_back({name, config});
  };
  add("avg", [](VitConfig& c) { c.global_pool = Pool::avg, c.fc_norm = true; });
  add("avgmax_no_cls", [](VitConfig& c) { c.global_pool = Pool::avgmax, c.class_token = false; });
  add("registers", [](VitConfig& c) { c.reg_tokens = 4, c.pos_prefix = PositionPrefix::none; });
  add("registers_cls_position", [](VitConfig& c) { c.reg_tokens = 2, c.pos_prefix = PositionPrefix::cls; });
  add("distilled", [](VitConfig& c) { c.distilled = true; });
  add("distilled_one_head", [](VitConfig& c) { c.distilled = true, c.distilled_head = false; });
  add("clip", [](VitConfig& c) { c.pre_norm = true, c.patch_bias = false, c.act = Activation::quick_gelu; });
  add("layer_scale", [](VitConfig& c) { c.init_values = 0.3f; });
  add("swiglu", [](VitConfig& c) { c.mlp_gated = true, c.mlp_ratio = 5.34, c.act = Activation::silu; });
  add("rms_qk_norm", [](VitConfig& c) {
    c.norm = NormKind::rms_norm;
    c.attention = ConfigNode::parse("{type: self, qk_norm: rmsnorm, scale_norm: layernorm, qkv_bias: false}", "test");
  });
  add("rectangular", [](VitConfig& c) { c.img_size = {24, 48}, c.patch_size = {8, 12}; });
  add("no_position", [](VitConfig& c) { c.pos_embed = false; });
  add("dinov2_head", [](VitConfig& c) { c.global_pool = Pool::token_and_avg; });
  add("no_head", [](VitConfig& c) { c.num_classes = 0; });
  return all;
}

/// Values that make every part count; the same for a name in every model.
void fill(ImageModel& model) {
  model.visit_parameters([](const std::string& name, Parameter& parameter) {
    Tensor value = Tensor::empty(parameter.shape);
    Rng rng(3, Rng::stream_of(name));
    fill_normal(value, rng, parameter.shape.rank() > 1 ? 0.2f : 0.5f, name.ends_with("weight") ? 0.5f : 0.0f);
    parameter.value = Var(std::move(value));
  });
}

void prepare(ImageModel& model) {
  model.visit_modules([](const std::string&, Module& module) { module.prepare(); });
}

Tensor images(int64_t batch, const std::array<int64_t, 2>& size) {
  Tensor pixels = Tensor::empty({batch, 3, size[0], size[1]});
  Rng rng(4);
  fill_normal(pixels, rng, 1.0f);
  return pixels;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.nbytes())) == 0;
}

class VitTest : public testing::TestWithParam<NamedConfig> {
 protected:
  void SetUp() override {
    fill(model_);
    prepare(model_);
  }
  Tensor run(const Tensor& pixels) {
    Context ctx;
    return model_.forward(ctx, pixels).value();
  }
  const VitConfig& config() { return GetParam().config; }
  Vit model_{GetParam().config, GetParam().name};
};

TEST_P(VitTest, PackedWeightsGiveTheBitsOfPlainOnes) {
  Vit plain(config(), "plain");
  fill(plain);
  Context ctx;
  const Tensor pixels = images(2, config().img_size);
  EXPECT_TRUE(same_bits(plain.forward(ctx, pixels).value(), run(pixels)));
}

TEST_P(VitTest, ObservingChangesNothing) {
  struct Everything : Observer {
    bool wants(const std::string&) override { return true; }
    void observe(const std::string& name, const Tensor& value) override {
      ++count;
      for (int64_t i = 0; i < value.numel(); ++i) ASSERT_TRUE(std::isfinite(value.f32()[i])) << name;
    }
    int count = 0;
  } everything;
  const Tensor pixels = images(2, config().img_size);
  Context ctx;
  ctx.observer = &everything;
  // The observed pass computes every token of the last block, the plain one only those that the head reads.
  const Tensor observed = model_.forward(ctx, pixels).value(), plain = run(pixels);
  ASSERT_EQ(observed.shape(), plain.shape());
  for (int64_t i = 0; i < plain.numel(); ++i) EXPECT_NEAR(observed.f32()[i], plain.f32()[i], 2e-5f);
  EXPECT_GE(everything.count, 2 * config().depth);
}

TEST_P(VitTest, ImagesOfABatchDoNotMix) {
  const Tensor pixels = images(3, config().img_size), together = run(pixels);
  for (int64_t i = 0; i < 3; ++i)
    EXPECT_TRUE(same_bits(together.slice(i, i + 1), run(pixels.slice(i, i + 1)))) << "image " << i;
}

TEST_P(VitTest, SameBitsOnAnyNumberOfThreads) {
  const Tensor pixels = images(2, config().img_size);
  set_num_threads(1);
  const Tensor one = run(pixels);
  for (int threads : {2, 8}) {
    set_num_threads(threads);
    EXPECT_TRUE(same_bits(one, run(pixels))) << threads << " threads";
  }
  set_num_threads(0);
}

TEST_P(VitTest, ResizingOnceEqualsResizingAtEveryForward) {
  const std::array<int64_t, 2> size = {config().img_size[0] + 2 * config().patch_size[0],
                                       config().img_size[1] + config().patch_size[1]};
  const Tensor pixels = images(1, size), dynamic = run(pixels);
  model_.set_input_size(size[0], size[1]);
  EXPECT_EQ(model_.info().input_size, size);
  EXPECT_TRUE(same_bits(dynamic, run(pixels)));
}

INSTANTIATE_TEST_SUITE_P(Shapes, VitTest, testing::ValuesIn(configs()),
                         [](const auto& instance) { return instance.param.name; });

TEST(VitConfig, RefusesWhatMakesNoModel) {
  const auto refused = [](const auto& change) {
    VitConfig config = small();
    change(config);
    return test::usage_error([&] { Vit(config, "x"); });
  };
  EXPECT_THAT(refused([](VitConfig& c) { c.num_heads = 5; }), testing::HasSubstr("divisible by num_heads 5"));
  EXPECT_THAT(refused([](VitConfig& c) { c.patch_size = {64, 64}; }), testing::HasSubstr("smaller than a patch"));
  EXPECT_THAT(refused([](VitConfig& c) { c.class_token = false; }), testing::HasSubstr("needs a class token"));
  EXPECT_THAT(refused([](VitConfig& c) { c.attention = ConfigNode::parse("widow", "x"); }),
              testing::HasSubstr("unknown attention 'widow'"));
}

TEST(Vit, InitialisationDependsOnTheSeedAndTheName) {
  const auto logits = [](uint64_t seed, int threads) {
    set_num_threads(threads);
    Vit model(small(), "x");
    initialise_parameters(model, seed);
    set_num_threads(0);
    Context ctx;
    return model.forward(ctx, images(1, {32, 32})).value();
  };
  EXPECT_TRUE(same_bits(logits(1, 1), logits(1, 8)));
  EXPECT_FALSE(same_bits(logits(1, 1), logits(2, 1)));
}

TEST(Vit, AnImageSmallerThanAPatchIsAnError) {
  Vit model(small(), "x");
  initialise_parameters(model, 0);
  Context ctx;
  EXPECT_THAT(test::failure([&] {
                model.forward(ctx, images(1, {4, 32}));
              }),
              testing::HasSubstr("smaller than a patch"));
  EXPECT_THAT(test::failure([&] {
                model.forward(ctx, Tensor::zeros({1, 4, 32, 32}));
              }),
              testing::HasSubstr("[1, 4, 32, 32]"));
}

}  // namespace
}  // namespace vit
