// Mechanisms whose queries look at a memory, with masks and biases, against their plain definitions: cross-attention,
// attention pooling, additive, multiplicative and hierarchical attention.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/mechanism_check.h"
#include "vit/attention/attention_pool.h"
#include "vit/autograd/plain_tokens.h"

namespace vit {
namespace {

using test::MechanismCheck;
using test::Plain;
using test::random_tensor;

constexpr size_t kHeads = 2, kHeadDim = 3, kDim = kHeads * kHeadDim, kMemory = 4, kEntries = 9, kTokens = 5;
const AttentionShape kShape{.dim = kDim, .num_heads = kHeads, .memory_dim = kMemory};
const float kInfinity = std::numeric_limits<float>::infinity();

MechanismCheck make(const std::string& options) { return MechanismCheck(options, kShape, 2, kTokens); }
Plain memory_of(MechanismCheck& check) { return test::wide(check.input().memory.value()); }
Plain no_bias() { return xt::zeros<double>({1, 1, 1, 1}); }

/// Hides entry 3 of the first sample, and entries 0 to 5 (a whole map) of the second.
Tensor mask() {
  Tensor hidden = Tensor::zeros({2, kEntries});
  hidden.f32()[3] = -kInfinity;
  for (int64_t i = 0; i < 6; ++i) hidden.f32()[static_cast<int64_t>(kEntries) + i] = -kInfinity;
  return hidden;
}
Plain wide_mask() { return plain::reshaped<double>(test::wide(mask()), {2, 1, 1, kEntries}); }

/// softmax(scores) memory for scores [B, 1, T, M] of one head.
Plain weighted(const Plain& scores, const Plain& memory) {
  Plain y = xt::zeros<double>({memory.shape(0), scores.shape(2), memory.shape(2)});
  for (size_t b = 0; b < memory.shape(0); ++b)
    xt::view(y, b) =
        plain::matmul<double>(plain::softmax<double>(Plain(xt::view(scores, b, 0))), Plain(xt::view(memory, b)));
  return y;
}

// ---- cross ----

Plain plain_cross(MechanismCheck& check, bool packed, const Plain& bias) {
  const Plain memory = memory_of(check);
  const Plain kv = packed ? check.linear(memory, "kv") : Plain();
  const Plain k = packed ? plain::slice<double>(kv, 2, 0, kDim) : check.linear(memory, "k");
  const Plain v = packed ? plain::slice<double>(kv, 2, kDim, 2 * kDim) : check.linear(memory, "v");
  const Plain q = check.linear(check.plain_x(), "q");
  return check.linear(plain::multihead_attention<double>(q, k, v, bias, kHeads, 1.0 / std::sqrt(3.0)), "proj");
}

TEST(CrossAttention, LooksAtTheMemory) {
  for (const bool packed : {true, false}) {
    MechanismCheck check = make(str("{type: cross, packed_kv: ", packed ? "true" : "false", "}"));
    test::expect_near(check.run(), plain_cross(check, packed, no_bias()));
    check.expect_slopes();
  }
}

TEST(CrossAttention, TakesAMaskAndABias) {
  MechanismCheck check = make("cross");
  check.input().memory_mask = mask();
  test::expect_near(check.run(), plain_cross(check, true, wide_mask()));
  const Tensor bias = random_tensor({kHeads, kTokens, kEntries}, 8);
  check.input().bias = bias;
  const Plain both = wide_mask() + plain::reshaped<double>(test::wide(bias), {1, kHeads, kTokens, kEntries});
  test::expect_near(check.run(), plain_cross(check, true, both));
  check.expect_slopes();
}

TEST(CrossAttention, RefusesWhatDoesNotFit) {
  MechanismCheck check = make("cross");
  check.input().memory_mask = Tensor::zeros({2, 4});
  EXPECT_THAT(test::failure([&] { check.run(); }), testing::HasSubstr("mask must be [2, 9], got [2, 4]"));
  check.input().memory = Tensor::zeros({2, 9, 7});
  EXPECT_THAT(test::failure([&] { check.run(); }), testing::HasSubstr("must be [2, M, 4], got [2, 9, 7]"));
  check.input().memory = {};
  EXPECT_THAT(test::failure([&] { check.run(); }), testing::HasSubstr("given none"));
}

// ---- attention_pool ----

Plain plain_latents(MechanismCheck& check, const Plain& bias) {
  const Plain kv = check.linear(memory_of(check), "kv");
  const Plain latent = check.parameter("latent");
  const Plain q = check.linear(plain::for_batch<double>(latent, 2), "q");
  const Plain mixed = plain::multihead_attention<double>(q, plain::slice<double>(kv, 2, 0, kDim),
                                                         plain::slice<double>(kv, 2, kDim, 2 * kDim), bias, kHeads,
                                                         1.0 / std::sqrt(3.0));
  const Plain y = check.linear(mixed, "proj");
  const Plain rows = plain::reshaped<double>(y, {y.shape(0) * y.shape(1), kDim});
  const Plain normed = plain::reshaped<double>(
      plain::layer_norm<double>(rows, check.parameter("norm.weight"), check.parameter("norm.bias"), 1e-6),
      {y.shape(0), y.shape(1), kDim});
  const Plain hidden = plain::activate<double>(check.linear(normed, "mlp.fc1"), Activation::gelu);
  return y + check.linear(hidden, "mlp.fc2");
}

TEST(AttentionPool, GivesEveryTokenThePooledVector) {
  for (const std::string pool : {"token", "avg"}) {
    MechanismCheck check = make("{type: attention_pool, latent_len: 3, pool_type: " + pool + "}");
    check.input().memory_mask = mask();
    const Plain latents = plain_latents(check, wide_mask());
    const Plain first = plain::slice<double>(latents, 1, 0, 1), mean = xt::mean(latents, {1}, xt::keep_dims);
    const Plain pooled = pool == "token" ? first : mean;
    test::expect_near(check.run(), Plain(pooled + xt::zeros<double>({size_t{2}, kTokens, kDim})), pool);
  }
}

TEST(AttentionPool, PoolsOutsideOfABlock) {
  MechanismCheck check = make("{type: attention_pool, latent_len: 2}");
  auto& pool = dynamic_cast<AttentionPool&>(check.mechanism());
  Context ctx;
  test::expect_near(pool.latents(ctx, check.input().memory).value(), plain_latents(check, no_bias()));
  EXPECT_EQ(pool.pool(ctx, check.input().memory).shape(), (Shape{2, static_cast<int64_t>(kDim)}));
}

// ---- additive and multiplicative ----

/// w^T tanh(W q + U m): [B, 1, T, M]
Plain additive_scores(MechanismCheck& check) {
  const Plain q = check.linear(check.plain_x(), "query"), k = check.linear(memory_of(check), "key");
  const Plain w = check.parameter("score.weight");
  Plain scores = xt::zeros<double>({size_t{2}, size_t{1}, kTokens, kEntries});
  for (size_t b = 0; b < 2; ++b)
    for (size_t t = 0; t < kTokens; ++t)
      for (size_t m = 0; m < kEntries; ++m)
        scores(b, 0, t, m) = xt::sum(xt::view(w, 0) * xt::tanh(xt::view(q, b, t) + xt::view(k, b, m)))();
  return scores;
}

TEST(AdditiveAttention, EqualsItsDefinition) {
  MechanismCheck check = make("{type: additive, attention_dim: 7}");
  test::expect_near(check.run(), check.linear(weighted(additive_scores(check), memory_of(check)), "proj"));
  check.input().memory_mask = mask();
  const Plain masked = additive_scores(check) + wide_mask();
  test::expect_near(check.run(), check.linear(weighted(masked, memory_of(check)), "proj"));
  check.expect_slopes();
}

TEST(AdditiveAttention, TakesABiasOfOneHead) {
  MechanismCheck check = make("additive");
  const Tensor bias = random_tensor({1, kTokens, kEntries}, 8);
  check.input().bias = bias;
  const Plain scores = additive_scores(check) + plain::reshaped<double>(test::wide(bias), {1, 1, kTokens, kEntries});
  const Plain want = check.linear(weighted(scores, memory_of(check)), "proj");
  test::expect_near(check.run(), want);
  check.input().wanted_tokens = 2;
  test::expect_near(check.run(), plain::slice<double>(want, 1, 0, 2));
  check.input().bias = Tensor::zeros({2, kTokens, kEntries});
  EXPECT_THAT(test::usage_error([&] { check.run(); }), testing::HasSubstr("2 heads"));
}

TEST(MultiplicativeAttention, EqualsItsDefinition) {
  MechanismCheck check = make("multiplicative");
  const Plain q = check.linear(check.plain_x(), "score"), memory = memory_of(check);
  const Plain want = plain::multihead_attention<double>(q, memory, memory, wide_mask(), 1, 1.0);
  check.input().memory_mask = mask();
  test::expect_near(check.run(), check.linear(want, "proj"));
  check.expect_slopes();
}

TEST(MultiplicativeAttention, DotNeedsOneWidth) {
  EXPECT_THAT(test::usage_error([] { make("{type: multiplicative, score: dot}"); }),
              testing::HasSubstr("score: general"));
  AttentionShape shape = kShape;
  shape.memory_dim = kDim;
  MechanismCheck check("{type: multiplicative, score: dot}", shape, 2, kTokens);
  const Plain memory = memory_of(check);
  test::expect_near(
      check.run(),
      check.linear(plain::multihead_attention<double>(check.plain_x(), memory, memory, no_bias(), 1, 1.0), "proj"));
}

// ---- hierarchical ----

/// One query of one head: softmax over the summaries of `regions` of the softmax over their entries.
Plain hierarchical_row(const Plain& q, const Plain& q_region, const Plain& k, const Plain& v,
                       const std::vector<std::vector<size_t>>& regions) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(kHeadDim));
  Plain summaries = xt::zeros<double>({regions.size(), kHeadDim});
  for (size_t r = 0; r < regions.size(); ++r) {
    Plain scores = xt::zeros<double>({size_t{1}, regions[r].size()});
    for (size_t i = 0; i < regions[r].size(); ++i) scores(0, i) = scale * xt::sum(q * xt::view(k, regions[r][i]))();
    const Plain shares = plain::softmax<double>(scores);
    for (size_t i = 0; i < regions[r].size(); ++i) xt::view(summaries, r) += shares(0, i) * xt::view(v, regions[r][i]);
  }
  Plain agreement = xt::zeros<double>({size_t{1}, regions.size()});
  for (size_t r = 0; r < regions.size(); ++r) agreement(0, r) = scale * xt::sum(q_region * xt::view(summaries, r))();
  const Plain row = plain::matmul<double>(plain::softmax<double>(agreement), summaries);
  return xt::view(row, 0);
}

Plain plain_hierarchical(MechanismCheck& check, const Plain& source,
                         const std::vector<std::vector<std::vector<size_t>>>& regions_of_sample) {
  const Plain asked = check.linear(check.plain_x(), "q"), kv = check.linear(source, "kv");
  Plain y = xt::zeros<double>({asked.shape(0), asked.shape(1), kDim});
  for (size_t b = 0; b < asked.shape(0); ++b)
    for (size_t t = 0; t < asked.shape(1); ++t)
      for (size_t h = 0; h < kHeads; ++h) {
        const size_t first = h * kHeadDim;
        const auto query = [&](size_t from) { return Plain(xt::view(asked, b, t, xt::range(from, from + kHeadDim))); };
        const auto entries = [&](size_t from) {
          return Plain(xt::view(kv, b, xt::all(), xt::range(from, from + kHeadDim)));
        };
        xt::view(y, b, t, xt::range(first, first + kHeadDim)) = hierarchical_row(
            query(first), query(kDim + first), entries(first), entries(kDim + first), regions_of_sample[b]);
      }
  return check.linear(y, "proj");
}

TEST(HierarchicalAttention, ChoosesWithinMapsAndAmongThem) {
  MechanismCheck check = make("hierarchical");
  const std::vector<std::vector<size_t>> maps = {{0, 1, 2, 3, 4, 5}, {6, 7, 8}};
  test::expect_near(check.run(), plain_hierarchical(check, memory_of(check), {maps, maps}));
  check.expect_slopes();
  // The second sample's first map is hidden.
  check.input().memory_mask = mask();
  test::expect_near(check.run(),
                    plain_hierarchical(check, memory_of(check), {{{0, 1, 2, 4, 5}, {6, 7, 8}}, {{6, 7, 8}}}));
  check.input().memory_grids = {{2, 2}};
  EXPECT_THAT(test::failure([&] { check.run(); }), testing::HasSubstr("9 entries"));
}

TEST(HierarchicalAttention, BlocksOfTheGridAndThePrefix) {
  MechanismCheck check("{type: hierarchical, regions: 2}",
                       {.dim = kDim, .num_heads = kHeads, .grid = {2, 3}, .prefix_tokens = 2});
  // Blocks of one row, of one and of two columns.
  const std::vector<std::vector<size_t>> blocks = {{0, 1}, {2}, {3, 4}, {5}, {6, 7}};
  test::expect_near(check.run(), plain_hierarchical(check, check.plain_x(), {blocks, blocks}));
  check.expect_slopes();
  const Tensor probs = check.observed("probs");
  ASSERT_EQ(probs.shape(), (Shape{2, 2, 8, 8}));
  for (int64_t row = 0; row < 32; ++row) {
    double sum = 0.0;
    for (int64_t i = 0; i < 8; ++i) sum += static_cast<double>(probs.f32()[row * 8 + i]);
    EXPECT_NEAR(sum, 1.0, 1e-5);
  }
}

}  // namespace
}  // namespace vit
