// A vision transformer that merges tokens, drops patches, or pools by attention.
#include <gtest/gtest.h>

#include <map>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"
#include "tests/support/tolerance.h"
#include "vit/models/vit.h"

namespace vit {
namespace {

using test::random_tensor;
using test::same_bits;

VitConfig small(const std::string& merging, Pool pool = Pool::token) {
  VitConfig config;
  config.img_size = {24, 16};
  config.patch_size = {4, 4};
  config.embed_dim = 12;
  config.depth = 3;
  config.num_heads = 3;
  config.num_classes = 5;
  config.global_pool = pool;
  config.token_merging.r = ConfigNode::parse(merging, "r");
  return config;
}

struct Built {
  explicit Built(const VitConfig& config) : model(config, "vit") { test::fill_leaves(model); }
  Tensor run() const {
    Context ctx;
    return model.forward(ctx, pixels).value().clone();
  }
  Vit model;
  Tensor pixels = random_tensor({2, 3, 24, 16}, 5);
};

struct Recorder : Observer {
  bool wants(const std::string& name) override { return name.find("probs") == std::string::npos; }
  void observe(const std::string& name, const Tensor& value) override { values[name] = value.clone(); }
  std::map<std::string, Tensor> values;
};

TEST(VitMerging, NothingToMergeIsThePlainModelToTheBit) {
  for (const Pool pool : {Pool::token, Pool::avg, Pool::map}) {
    VitConfig plain = small("0", pool);
    plain.token_merging = {};
    EXPECT_TRUE(same_bits(Built(small("0", pool)).run(), Built(plain).run()));
    EXPECT_TRUE(same_bits(Built(small("[0, 0, 0]", pool)).run(), Built(plain).run()));
  }
}

TEST(VitMerging, BlocksHaveFewerAndFewerTokens) {
  const Built built(small("[5, 0, 4]"));
  Recorder seen;
  Context ctx;
  ctx.observer = &seen;
  built.model.forward(ctx, built.pixels);
  EXPECT_EQ(seen.values.at("blocks.0").shape(), (Shape{2, 20, 12}));
  EXPECT_EQ(seen.values.at("blocks.1").shape(), (Shape{2, 20, 12}));
  EXPECT_EQ(seen.values.at("blocks.2").shape(), (Shape{2, 16, 12}));
  for (const char* block : {"blocks.0", "blocks.1", "blocks.2"}) {
    const Tensor source = seen.values.at(str(block, ".merge_source"));
    ASSERT_EQ(source.shape(), (Shape{2, 25})) << block;
    for (const int64_t place : source.span<int64_t>()) EXPECT_LT(place, seen.values.at(block).size(1));
  }
  EXPECT_EQ(Recorder().values.count("merge_source"), 0u);
}

TEST(VitMerging, LastBlockMergesOnlyWhatIsRead) {
  // A class token's head reads one token, which the last merge does not touch: the same logits with and without it.
  EXPECT_TRUE(same_bits(Built(small("[3, 3, 3]")).run(), Built(small("[3, 3, 0]")).run()));
  // The observer sees all tokens of the last block, merged, and the same logits.
  const Built built(small("3"));
  Recorder seen;
  Context ctx;
  ctx.observer = &seen;
  const Tensor logits = built.model.forward(ctx, built.pixels).value(), alone = built.run();
  EXPECT_EQ(seen.values.at("features").size(1), 25 - 9);
  EXPECT_LE(test::relative_l2(logits.f32(), alone.f32(), logits.numel()), test::rounding_tolerance(400, 1.0));
}

TEST(VitMerging, EqualTokensMergeWithoutAChange) {
  // Images of equal patches without a position table: merging tokens that are equal loses nothing, if scores and means
  // count each as often as it has patches.
  for (const Pool pool : {Pool::token, Pool::avg, Pool::avgmax, Pool::token_and_avg, Pool::map}) {
    VitConfig merged = small("4", pool), plain = small("0", pool);
    merged.pos_embed = plain.pos_embed = false;
    Built a(merged), b(plain);
    a.pixels = b.pixels = Tensor::full({2, 3, 24, 16}, 0.7f);
    const Tensor x = a.run(), y = b.run();
    EXPECT_LE(test::relative_l2(x.f32(), y.f32(), x.numel()), test::rounding_tolerance(400, 1.0));
    merged.token_merging.proportional = false;
    Built c(merged);
    c.pixels = a.pixels;
    const Tensor z = c.run();
    EXPECT_GT(test::relative_l2(z.f32(), y.f32(), y.numel()), 1e-4) << "the class token counts too much";
  }
}

// Along a direction other tokens become the most similar: between these jumps the differences are the slopes.
TEST(VitMerging, GradientsAreTheSlopes) {
  for (const Pool pool : {Pool::token, Pool::avg, Pool::map}) {
    Built built(small("2", pool));
    test::expect_directional_derivatives(
        built.model, [&](Context& ctx) { return built.model.forward(ctx, built.pixels); },
        std::vector<double>{0.02, 5e-3, 1e-3});
  }
}

TEST(VitMerging, CheckpointingAndPatchDropoutTrainAlike) {
  Built built(small("3", Pool::avg));
  const auto gradients = [&](bool checkpointing) {
    built.model.set_training({.patch_drop_rate = 0.3f, .drop_path_rate = 0.2f, .grad_checkpointing = checkpointing});
    Context ctx;
    ctx.training = true;
    ctx.seed = 4;
    return test::gradients_of(built.model, ctx,
                              [&](Context& inner) { return built.model.forward(inner, built.pixels); });
  };
  const auto plain = gradients(false), again = gradients(true);
  ASSERT_FALSE(plain.empty());
  ASSERT_EQ(plain.size(), again.size());
  for (const auto& [name, gradient] : plain) EXPECT_TRUE(same_bits(gradient, again.at(name))) << name;
}

TEST(VitMerging, RefusesMechanismsOnAGrid) {
  VitConfig config = small("4");
  config.attention = ConfigNode::parse("[self, agent, self]", "m.yaml");
  EXPECT_THAT(test::usage_error([&] { Vit(config, "vit"); }), testing::HasSubstr("block 1 has 'agent'"));
  config.token_merging = {};
  Vit model(config, "vit");
  EXPECT_THAT(test::usage_error([&] { model.set_training({.patch_drop_rate = 0.5f}); }),
              testing::HasSubstr("patch dropout leaves no grid"));
}

TEST(VitMapPool, HasTimmsNames) {
  Built built(small("0", Pool::map));
  std::map<std::string, Shape> shapes;
  built.model.visit_parameters([&](const std::string& name, Parameter& p) { shapes[name] = p.shape; });
  EXPECT_EQ(shapes.at("attn_pool.latent"), (Shape{1, 1, 12}));
  EXPECT_EQ(shapes.at("attn_pool.kv.weight"), (Shape{24, 12}));
  for (const char* name : {"q.bias", "proj.weight", "norm.weight", "mlp.fc1.weight", "mlp.fc2.bias"})
    EXPECT_TRUE(shapes.count(str("attn_pool.", name))) << name;
  EXPECT_FALSE(shapes.count("fc_norm.weight"));
  EXPECT_TRUE(shapes.count("norm.weight"));
}

}  // namespace
}  // namespace vit
