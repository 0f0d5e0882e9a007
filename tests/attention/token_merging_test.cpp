// Token merging: matching against the paper's algorithm, merging and its gradient, sizes and sources over several
// merges, schedules.
#include "vit/attention/token_merging.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "vit/autograd/merge_tokens.h"

namespace vit {
namespace {

using test::GradientCase;
using test::Plain;
using test::random_tensor;

/// The steps of section 3 as the paper has them: which tokens of A (even) go, and to which of B (odd).
std::vector<std::pair<int64_t, int64_t>> plain_edges(const Plain& metric, int64_t prefix, int64_t r) {
  const auto tokens = static_cast<int64_t>(metric.shape(0));
  std::vector<std::tuple<double, int64_t, int64_t>> edges;
  for (int64_t a = 0; a < tokens; a += 2) {
    if (a < prefix) continue;
    std::tuple<double, int64_t, int64_t> best{-2.0, a, -1};
    for (int64_t b = 1; b < tokens; b += 2) {
      if (b < prefix) continue;
      const Plain u = xt::view(metric, a), v = xt::view(metric, b);
      const double cosine = xt::sum(u * v)() / std::sqrt(xt::sum(u * u)() * xt::sum(v * v)());
      if (cosine > std::get<0>(best)) best = {cosine, a, b};
    }
    edges.push_back(best);
  }
  std::sort(edges.begin(), edges.end(), std::greater<>());
  edges.resize(static_cast<size_t>(std::min(r, (tokens - prefix) / 2)));
  std::vector<std::pair<int64_t, int64_t>> pairs;
  for (const auto& [similarity, a, b] : edges) pairs.emplace_back(a, b);
  return pairs;
}

/// Five columns of one sample.
Plain plain_columns(const Plain& x, int64_t b, size_t first) {
  return xt::view(x, b, xt::all(), xt::range(first, first + 5));
}

TEST(MatchTokens, MergesTheMostSimilarPairs) {
  constexpr int64_t kHeads = 2, kHeadDim = 5;
  for (const int64_t tokens : {1, 2, 3, 10, 13})
    for (const int64_t prefix : {0, 1, 2, 5})
      for (const int64_t r : {0, 1, 3, 100}) {
        if (prefix > tokens) continue;
        SCOPED_TRACE(str(tokens, " tokens, ", prefix, " prefix, r = ", r));
        const Tensor keys = random_tensor({2, tokens, 17}, 3);
        Context ctx;
        const TokenMatching matching = match_tokens(ctx, {keys, 4}, kHeads, kHeadDim, prefix, r);
        ASSERT_EQ(matching.count, tokens - std::min(r, (tokens - prefix) / 2));
        const Plain wide = test::wide(keys);
        for (int64_t b = 0; b < 2; ++b) {
          const int64_t* place = matching.place.data<int64_t>() + b * tokens;
          const Plain metric = plain_columns(wide, b, 4) + plain_columns(wide, b, 9);
          std::set<int64_t> gone;
          for (const auto& [from, to] : plain_edges(metric, prefix, r)) {
            EXPECT_EQ(place[from], place[to]);
            gone.insert(from);
          }
          for (int64_t n = 0; n < prefix; ++n) EXPECT_EQ(place[n], n);
          // Who stays has a place of its own; A comes before B.
          int64_t next = prefix;
          if (static_cast<int64_t>(gone.size()) == 0) continue;
          for (const int64_t parity : {0, 1})
            for (int64_t n = parity; n < tokens; n += 2)
              if (n >= prefix && !gone.count(n)) {
                EXPECT_EQ(place[n], next++);
              }
          EXPECT_EQ(next, matching.count);
        }
      }
}

TEST(MatchTokens, NumbersThatAreNoneAreMergedToo) {
  Context ctx;
  const TokenMatching matching =
      match_tokens(ctx, {Tensor::full({1, 7, 4}, std::numeric_limits<float>::quiet_NaN()), 0}, 2, 2, 3, 2);
  EXPECT_EQ(matching.count, 5);
  for (const int64_t place : matching.place.span<int64_t>()) EXPECT_LT(place, 5);
}

GradientCase merging(const std::string& name, const Shape& shape, int64_t count) {
  Tensor place = Tensor::empty({shape[0], shape[1]}, DType::i64), weights = Tensor::empty({shape[0], shape[1]});
  for (int64_t i = 0; i < place.numel(); ++i) {
    place.data<int64_t>()[i] = i % shape[1] < count ? i % shape[1] : (3 * i + i / shape[1]) % count;
    weights.f32()[i] = 1.0f + static_cast<float>(i % 4);
  }
  return {
      .name = name,
      .inputs = {random_tensor(shape, 1)},
      .run = [=](Context& ctx, const std::vector<Var>& v) { return merge_tokens(ctx, v[0], place, weights, count); },
      .plain =
          [=](const std::vector<Plain>& v) {
            Plain y = xt::zeros<double>({v[0].shape(0), static_cast<size_t>(count), v[0].shape(2)});
            for (size_t b = 0; b < y.shape(0); ++b)
              for (int64_t g = 0; g < count; ++g) {
                double total = 0.0;
                for (int64_t n = 0; n < shape[1]; ++n) {
                  const int64_t at = static_cast<int64_t>(b) * shape[1] + n;
                  if (place.data<int64_t>()[at] != g) continue;
                  total += static_cast<double>(weights.f32()[at]);
                  xt::view(y, b, g) += static_cast<double>(weights.f32()[at]) * xt::view(v[0], b, n);
                }
                xt::view(y, b, g) /= total;
              }
            return y;
          }};
}

VITKIT_GRADIENT_TESTS(MergeTokensGradient,
                      (std::vector<GradientCase>{merging("one", {1, 1, 1}, 1), merging("pairs", {2, 7, 5}, 4),
                                                 merging("all", {3, 6, 4}, 1), merging("wide", {2, 5, 300}, 3)}));

TEST(MergeTokens, ATokenAloneIsCopied) {
  Context ctx;
  const Tensor x = random_tensor({1, 3, 4}, 1);
  const Tensor place = Tensor::from<int64_t>({2, 0, 1}, {1, 3}), weights = Tensor::from<float>({3, 1, 7}, {1, 3});
  const Var y = merge_tokens(ctx, x, place, weights, 3);
  for (int64_t c = 0; c < 4; ++c) EXPECT_EQ(y.value().f32()[8 + c], x.f32()[c]);
  EXPECT_THAT(test::failure([&] { merge_tokens(ctx, x, place, weights, 2); }), testing::HasSubstr("within [0, 2)"));
  EXPECT_THAT(test::failure([&] { merge_tokens(ctx, x, place, weights, 4); }), testing::HasSubstr("no token"));
}

TEST(Merge, SizesAndSourcesFollowSeveralMerges) {
  Context ctx;
  MergedTokens merged;
  Var x = random_tensor({2, 12, 4}, 1);
  const Tensor first = x.value();
  EXPECT_FALSE(merged.bias(ctx).defined());
  for (const int64_t r : {3, 2, 4}) x = merge(ctx, x, match_tokens(ctx, {x, 0}, 1, 4, 1, r), merged);
  // 12 tokens, of which one is protected: 9, 7, and then only three can go.
  ASSERT_EQ(x.shape(), (Shape{2, 4, 4}));
  ASSERT_EQ(merged.source.shape(), (Shape{2, 12}));
  for (int64_t b = 0; b < 2; ++b) {
    EXPECT_EQ(merged.source.data<int64_t>()[b * 12], 0) << "the class token";
    for (int64_t g = 0; g < 4; ++g) {
      // Every token is the mean of those that are in it.
      double size = 0.0, mean = 0.0;
      for (int64_t n = 0; n < 12; ++n)
        if (merged.source.data<int64_t>()[b * 12 + n] == g)
          size += 1.0, mean += static_cast<double>(first.f32()[(b * 12 + n) * 4]);
      EXPECT_FLOAT_EQ(merged.sizes.f32()[b * 4 + g], static_cast<float>(size));
      EXPECT_NEAR(x.value().f32()[(b * 4 + g) * 4], mean / size, 1e-6);
      EXPECT_NEAR(merged.bias(ctx).value().f32()[b * 4 + g], std::log(size), 1e-6);
    }
  }
}

TEST(TokenMergingOptions, Schedules) {
  const auto schedule = [](const std::string& text, int64_t depth) {
    return read_config<TokenMergingOptions>(ConfigNode::parse(text, "m.yaml")).schedule(depth);
  };
  using Numbers = std::vector<int64_t>;
  EXPECT_EQ(schedule("{}", 2), (Numbers{0, 0}));
  EXPECT_EQ(schedule("{r: 13}", 3), (Numbers{13, 13, 13}));
  EXPECT_EQ(schedule("{r: [5, 0, 2]}", 3), (Numbers{5, 0, 2}));
  EXPECT_EQ(schedule("{r: 10, inflect: -1}", 3), (Numbers{20, 10, 0}));
  EXPECT_EQ(schedule("{r: 10, inflect: 1}", 3), (Numbers{0, 10, 20}));
  EXPECT_THAT(test::usage_error([&] { schedule("{r: [5, 0]}", 3); }), testing::HasSubstr("depth = 3, got 2"));
  EXPECT_THAT(test::usage_error([&] { schedule("{r: -1}", 3); }), testing::HasSubstr("m.yaml"));
  EXPECT_THAT(test::usage_error([&] { schedule("{r: many}", 3); }), testing::HasSubstr("m.yaml"));
}

}  // namespace
}  // namespace vit
