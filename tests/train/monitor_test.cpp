#include "vit/train/monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "tests/support/tolerance.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/models/load.h"
#include "vit/models/vit.h"

namespace vit {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// One prefix token and a row of two patches, two heads: one looks everywhere, one at itself.
const std::vector<float> kUniform(9, 1.0f / 3.0f);
const std::vector<float> kIdentity = {1, 0, 0, 0, 1, 0, 0, 0, 1};

Tensor maps(const std::vector<std::vector<float>>& heads, int64_t tokens) {
  std::vector<float> all;
  for (const auto& head : heads) all.insert(all.end(), head.begin(), head.end());
  return Tensor::from(all, {1, static_cast<int64_t>(heads.size()), tokens, tokens});
}

Tensor layout(float prefix, float grid_h, float grid_w) { return Tensor::from<float>({prefix, grid_h, grid_w}, {3}); }

TEST(AttentionStatistics, AreWhatOneFindsByHand) {
  AttentionStatistics statistics;
  statistics.observe("blocks.0.attn.layout", layout(1, 1, 2));
  statistics.observe("blocks.0.attn.probs", maps({kUniform, kIdentity}, 3));
  statistics.observe("blocks.0.attn.scores", Tensor::from<float>({1, 2, -7, 3, 5, 4, 0, 0, 0,  // head 0
                                                                  -1, -2, -3, -4, -5, -6, -7, -8, -9},
                                                                 {1, 2, 3, 3}));
  const std::vector<LayerStatistics> layers = statistics.layers();
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_EQ(layers[0].layer, "blocks.0");
  const HeadStatistics &uniform = layers[0].heads.at(0), &identity = layers[0].heads.at(1);
  EXPECT_NEAR(uniform.entropy, std::log(3.0), 1e-6);
  EXPECT_NEAR(uniform.normalised_entropy, 1.0, 1e-6);
  EXPECT_NEAR(uniform.distance, 0.5, 1e-6) << "half at itself, half at the neighbour";
  EXPECT_NEAR(uniform.prefix_share, 1.0 / 3.0, 1e-6);
  EXPECT_EQ(uniform.max_logit, 5.0);
  EXPECT_EQ(identity.entropy, 0.0);
  EXPECT_EQ(identity.distance, 0.0);
  EXPECT_NEAR(identity.prefix_share, 1.0 / 3.0, 1e-6) << "the prefix token looks at itself";
  EXPECT_EQ(identity.max_logit, -1.0);
  // (3 * 1/3) / (|uniform| = 1, |identity| = sqrt 3)
  EXPECT_NEAR(uniform.similarity, 1.0 / std::sqrt(3.0), 1e-6);
  EXPECT_NEAR(identity.similarity, 1.0 / std::sqrt(3.0), 1e-6);
  const HeadStatistics mean = layers[0].mean();
  EXPECT_NEAR(mean.entropy, std::log(3.0) / 2.0, 1e-6);
  EXPECT_EQ(mean.max_logit, 5.0);
}

TEST(AttentionStatistics, DistancesAreThoseOfTheGrid) {
  // Every patch of a 2 x 3 grid looks at the one in the lower right corner.
  std::vector<float> corner(36, 0.0f);
  for (size_t i = 0; i < 6; ++i) corner[i * 6 + 5] = 1.0f;
  AttentionStatistics statistics;
  statistics.observe("blocks.0.attn.layout", layout(0, 2, 3));
  statistics.observe("blocks.0.attn.probs", maps({corner}, 6));
  const HeadStatistics head = statistics.layers().at(0).heads.at(0);
  EXPECT_NEAR(head.distance, (std::sqrt(5.0) + std::sqrt(2.0) + 1.0 + 2.0 + 1.0 + 0.0) / 6.0, 1e-6);
  EXPECT_TRUE(std::isnan(head.prefix_share)) << "there are no prefix tokens";
  EXPECT_TRUE(std::isnan(head.similarity)) << "there is one head";
  EXPECT_TRUE(std::isnan(head.max_logit)) << "nobody offered scores";
}

TEST(AttentionStatistics, MechanismsThatAreNotAGridHaveNoDistance) {
  AttentionStatistics statistics;
  statistics.observe("decoder.0.cross_attn.probs", Tensor::full({2, 2, 3, 5}, 0.2f));
  statistics.observe("blocks.0.attn.layout", layout(1, 4, 4));
  statistics.observe("blocks.0.attn.probs", Tensor::full({2, 1, 4, 4}, 0.25f));  // windows of four
  const std::vector<LayerStatistics> layers = statistics.layers();
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_EQ(layers[0].layer, "decoder.0.cross_attn");
  EXPECT_NEAR(layers[0].heads.at(1).normalised_entropy, 1.0, 1e-6);
  EXPECT_TRUE(std::isnan(layers[1].heads.at(0).distance));
  EXPECT_TRUE(std::isnan(layers[1].heads.at(0).prefix_share));
}

/// A task whose probe shows an observer what a test says.
class FakeTask : public Task {
 public:
  std::function<void(Observer&)> show;
  Module& module() override { fail("not asked for"); }
  Var loss(Context&, const Batch&) override { fail("not asked for"); }
  std::vector<Metric> evaluate() override { return {}; }
  std::map<std::string, std::string> checkpoint_files() override { return {}; }
  bool probe(Context& ctx, int64_t) override {
    if (show) show(*ctx.observer);
    return static_cast<bool>(show);
  }
};

/// A head whose attention has a normalised entropy of about 0 or 1, or between.
std::vector<float> head_of(char kind) {
  if (kind == 'u') return kUniform;
  if (kind == 's') return kIdentity;
  return {0.8f, 0.1f, 0.1f, 0.1f, 0.8f, 0.1f, 0.1f, 0.1f, 0.8f};
}

class MonitorTest : public testing::Test {
 protected:
  std::vector<std::string> look(const std::string& kinds, float logit = 1.0f) {
    task_.show = [&](Observer& observer) {
      std::vector<std::vector<float>> heads;
      for (const char kind : kinds) heads.push_back(head_of(kind));
      observer.observe("blocks.0.attn.layout", layout(1, 1, 2));
      observer.observe("blocks.0.attn.probs", maps(heads, 3));
      observer.observe("blocks.0.attn.scores", Tensor::full({1, static_cast<int64_t>(kinds.size()), 3, 3}, logit));
    };
    std::vector<std::string> warnings;
    metrics_ = monitor_.measure(task_, [&](const std::string& text) { warnings.push_back(text); });
    return warnings;
  }
  FakeTask task_;
  AttentionMonitor monitor_{MonitorConfig{}};
  std::vector<Metric> metrics_;
};

TEST_F(MonitorTest, NamesEveryFigure) {
  look("ms");
  std::vector<std::string> names;
  for (const Metric& metric : metrics_) names.push_back(metric.first);
  EXPECT_EQ(names.size(), 3 * 6u);
  EXPECT_EQ(names.front(), "attention/blocks.0/entropy");
  for (const char* name : {"attention/blocks.0/head.1/entropy", "attention/blocks.0/head.1/normalised_entropy",
                           "attention/blocks.0/head.0/distance", "attention/blocks.0/head.0/prefix_share",
                           "attention/blocks.0/head.0/max_logit", "attention/blocks.0/similarity"})
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
}

TEST_F(MonitorTest, WarnsWhenAHeadCollapsesAndNotAgain) {
  EXPECT_THAT(look("msu"), IsEmpty()) << "nothing is known about what was before";
  EXPECT_THAT(look("msu"), IsEmpty());
  EXPECT_THAT(look("ssu"), ElementsAre(AllOf(HasSubstr("blocks.0"), HasSubstr("single tokens"), HasSubstr("head 0 "))));
  EXPECT_THAT(look("ssu"), IsEmpty());
  EXPECT_THAT(look("mms"), ElementsAre(HasSubstr("head 2 ")));
  EXPECT_THAT(look("mum"), ElementsAre(AllOf(HasSubstr("alike"), HasSubstr("head 1 "))));
  EXPECT_THAT(look("sss"), ElementsAre(AllOf(HasSubstr("head 0 "), HasSubstr(", 1 "), HasSubstr(", 2 "))));
}

TEST_F(MonitorTest, WarnsWhenLogitsGrow) {
  EXPECT_THAT(look("m", 80.0f), IsEmpty()) << "large from the start is not growing";
  EXPECT_THAT(look("m", 79.0f), IsEmpty());
  EXPECT_THAT(look("m", 81.0f), ElementsAre(HasSubstr("logits grow")));
  EXPECT_THAT(look("m", 90.0f), IsEmpty()) << "said already";
  EXPECT_THAT(look("m", 200.0f), ElementsAre(HasSubstr("200"))) << "more than twice as large";
  EXPECT_THAT(look("m", 10.0f), IsEmpty());
}

TEST_F(MonitorTest, IsDueAsConfiguredAndCopesWithNothingToSee) {
  EXPECT_THAT(monitor_.measure(task_, [](const std::string&) { FAIL(); }), IsEmpty());
  EXPECT_TRUE(monitor_.is_due(0));
  EXPECT_TRUE(monitor_.is_due(1));
  MonitorConfig config;
  config.every = 3;
  EXPECT_TRUE(AttentionMonitor(config).is_due(3));
  EXPECT_FALSE(AttentionMonitor(config).is_due(4));
  config.every = 0;
  EXPECT_FALSE(AttentionMonitor(config).is_due(0));
}

VitConfig tiny() {
  VitConfig config;
  config.img_size = {32, 32};
  config.patch_size = {8, 8};
  config.embed_dim = 24;
  config.depth = 2;
  config.num_heads = 3;
  config.num_classes = 5;
  config.reg_tokens = 2;
  return config;
}

Tensor pictures(int64_t count) {
  Tensor pixels = Tensor::empty({count, 3, 32, 32});
  Rng rng(4);
  fill_normal(pixels, rng, 1.0f);
  return pixels;
}

std::vector<LayerStatistics> statistics_of(const Vit& model, const Tensor& pixels, int64_t at_once) {
  AttentionStatistics statistics;
  Context ctx;
  ctx.observer = &statistics;
  for (int64_t begin = 0; begin < pixels.size(0); begin += at_once)
    model.forward(ctx, pixels.slice(begin, std::min(begin + at_once, pixels.size(0))));
  return statistics.layers();
}

TEST(AttentionStatistics, OfAModelDependOnNeitherBatchesNorThreads) {
  Vit model(tiny(), "tiny");
  initialise_parameters(model, 3);
  const Tensor pixels = pictures(5);
  set_num_threads(1);
  const auto expected = statistics_of(model, pixels, 5);
  ASSERT_EQ(expected.size(), 2u);
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    const auto found = statistics_of(model, pixels, 2);
    for (size_t layer = 0; layer < 2; ++layer)
      for (size_t head = 0; head < 3; ++head) {
        const HeadStatistics &a = expected[layer].heads.at(head), &b = found[layer].heads.at(head);
        EXPECT_EQ(a.entropy, b.entropy);
        EXPECT_EQ(a.distance, b.distance);
        EXPECT_EQ(a.prefix_share, b.prefix_share);
        EXPECT_EQ(a.max_logit, b.max_logit);
        EXPECT_EQ(a.similarity, b.similarity);
        EXPECT_NEAR(a.prefix_share, 3.0 / 19.0, 0.01) << "a model that has learnt nothing looks everywhere";
        EXPECT_NEAR(a.normalised_entropy, 1.0, 0.01);
      }
  }
  set_num_threads(0);
}

TEST(AttentionScores, TheirSoftmaxIsTheProbabilities) {
  constexpr int64_t kBatch = 2, kHeads = 3, kQueries = 5, kKeys = 19, kDim = 20;
  Rng rng(7);
  Tensor q = Tensor::empty({kBatch, kQueries, kHeads * kDim}), kv = Tensor::empty({kBatch, kKeys, 2 * kHeads * kDim});
  Tensor bias = Tensor::empty({kHeads, kQueries, kKeys});
  for (Tensor* tensor : {&q, &kv, &bias}) fill_normal(*tensor, rng, 1.0f);
  Context ctx;
  const AttentionOptions options{.heads = kHeads, .head_dim = kDim, .scale = 0.3f, .bias = bias};
  const HeadColumns queries{q, 0}, keys{kv, kHeads * kDim};
  const Tensor scores = attention_scores(ctx, queries, keys, options);
  EXPECT_EQ(scores.shape(), Shape({kBatch, kHeads, kQueries, kKeys}));
  const float* q_bhi = q.f32() + (1 * kQueries + 4) * kHeads * kDim + 2 * kDim;
  const float* k_bhj = kv.f32() + (1 * kKeys + 17) * 2 * kHeads * kDim + (kHeads + 2) * kDim;
  double expected = bias.f32()[(2 * kQueries + 4) * kKeys + 17];
  for (int64_t c = 0; c < kDim; ++c) expected += 0.3 * q_bhi[c] * k_bhj[c];
  EXPECT_NEAR(scores.f32()[((1 * kHeads + 2) * kQueries + 4) * kKeys + 17], expected, 1e-5);

  const Tensor probs = attention_probs(ctx, queries, keys, options), soft = softmax(ctx, scores).value();
  EXPECT_LT(test::relative_l2(soft.f32(), probs.f32(), probs.numel()), 1e-5);
}

}  // namespace
}  // namespace vit
