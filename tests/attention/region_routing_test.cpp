// Region routing against a plain definition: each region's attention over the tokens of the regions that it chooses.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/mechanism_check.h"
#include "vit/autograd/plain_tokens.h"

namespace vit {
namespace {

using test::MechanismCheck;
using test::Plain;

constexpr size_t kHeads = 2, kDim = 6, kHeight = 3, kWidth = 4;

/// Tokens of the four regions of the 3 x 4 grid behind `prefix` tokens: one and two rows, two columns each.
std::vector<std::vector<size_t>> regions(size_t prefix) {
  std::vector<std::vector<size_t>> all(4);
  for (size_t row = 0; row < kHeight; ++row)
    for (size_t col = 0; col < kWidth; ++col) all[(row > 0 ? 2 : 0) + col / 2].push_back(prefix + row * kWidth + col);
  return all;
}

Plain mean_of(const Plain& rows, const std::vector<size_t>& tokens) {
  Plain sum = xt::zeros<double>({rows.shape(1)});
  for (const size_t token : tokens) sum += xt::view(rows, token);
  return sum / static_cast<double>(tokens.size());
}

/// The regions that region r of a sample chooses, by the product of mean queries and keys.
std::vector<size_t> chosen(const Plain& q, const Plain& k, const std::vector<std::vector<size_t>>& all, size_t r,
                           size_t topk) {
  std::vector<double> affinity;
  for (const auto& other : all) affinity.push_back(xt::sum(mean_of(q, all[r]) * mean_of(k, other))());
  std::vector<size_t> order = {0, 1, 2, 3};
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return affinity[i] > affinity[j]; });
  order.resize(topk);
  return order;
}

/// 0 where a token looks at another, -inf where not: [B, 1, N, N].
Plain plain_mask(const Plain& qkv, size_t prefix, size_t topk) {
  const size_t batch = qkv.shape(0), tokens = qkv.shape(1);
  Plain mask = xt::ones<double>({batch, size_t{1}, tokens, tokens}) * -1e300;
  const auto all = regions(prefix);
  for (size_t b = 0; b < batch; ++b) {
    const Plain q = xt::view(qkv, b, xt::all(), xt::range(size_t{0}, kDim));
    const Plain k = xt::view(qkv, b, xt::all(), xt::range(kDim, 2 * kDim));
    xt::view(mask, b, 0, xt::range(size_t{0}, prefix)) = 0.0;
    xt::view(mask, b, 0, xt::all(), xt::range(size_t{0}, prefix)) = 0.0;
    for (size_t r = 0; r < all.size(); ++r)
      for (const size_t other : chosen(q, k, all, r, topk))
        for (const size_t i : all[r])
          for (const size_t j : all[other]) mask(b, 0, i, j) = 0.0;
  }
  return mask;
}

Plain plain_mixed(const Plain& qkv, size_t prefix, size_t topk) {
  const auto part = [&](size_t i) { return plain::slice<double>(qkv, 2, i * kDim, (i + 1) * kDim); };
  return plain::multihead_attention<double>(part(0), part(1), part(2), plain_mask(qkv, prefix, topk), kHeads,
                                            1.0 / std::sqrt(3.0));
}

TEST(RegionRouting, LooksAtTheChosenRegions) {
  for (const size_t prefix : {0, 2})
    for (const size_t topk : {1, 2, 4}) {
      MechanismCheck check(
          str("{type: region_routing, n_win: 2, side_dwconv: 0, topk: ", topk, "}"),
          {.dim = kDim, .num_heads = kHeads, .grid = {kHeight, kWidth}, .prefix_tokens = static_cast<int64_t>(prefix)});
      const Plain qkv = check.linear(check.plain_x(), "qkv");
      test::expect_near(check.run(), check.linear(plain_mixed(qkv, prefix, topk), "proj"), str(prefix, " ", topk));
      const Tensor probs = check.observed("probs"), scores = check.observed("scores");
      const Plain mask = plain_mask(qkv, prefix, topk);
      ASSERT_EQ(probs.shape(), scores.shape());
      for (size_t b = 0; b < 2; ++b)
        for (size_t i = 0; i < mask.shape(2) * mask.shape(3); ++i) {
          const bool hidden = mask(b, 0, i / mask.shape(3), i % mask.shape(3)) < 0.0;
          const size_t at = b * kHeads * mask.shape(2) * mask.shape(3) + i;
          EXPECT_EQ(probs.f32()[at] == 0.0f, hidden) << at;
          EXPECT_EQ(std::isinf(scores.f32()[at]), hidden) << at;
        }
    }
}

TEST(RegionRouting, AddsTheConvolvedValues) {
  const AttentionShape shape{.dim = kDim, .num_heads = kHeads, .grid = {kHeight, kWidth}, .prefix_tokens = 1};
  MechanismCheck check("{type: region_routing, n_win: 2, topk: 2, side_dwconv: 3}", shape);
  const Plain qkv = check.linear(check.plain_x(), "qkv");
  const Plain weight = check.parameter("lepe.weight"), bias = check.parameter("lepe.bias");
  Plain mixed = plain_mixed(qkv, 1, 2);
  for (size_t b = 0; b < 2; ++b)
    for (size_t cell = 0; cell < kHeight * kWidth; ++cell)
      for (size_t c = 0; c < kDim; ++c) {
        double sum = bias(c);
        for (size_t i = 0; i < 3; ++i)
          for (size_t j = 0; j < 3; ++j) {
            const size_t row = cell / kWidth + i, col = cell % kWidth + j;  // one more than the cell's own
            if (row < 1 || row > kHeight || col < 1 || col > kWidth) continue;
            sum += weight(c, 0, i, j) * qkv(b, 1 + (row - 1) * kWidth + col - 1, 2 * kDim + c);
          }
        mixed(b, 1 + cell, c) += sum;
      }
  test::expect_near(check.run(), check.linear(mixed, "proj"));
}

TEST(RegionRouting, AllRegionsAreSelfAttention) {
  const AttentionShape shape{.dim = kDim, .num_heads = kHeads, .grid = {5, 7}, .prefix_tokens = 1};
  MechanismCheck routed("{type: region_routing, n_win: 3, topk: 9, side_dwconv: 0}", shape), self("self", shape);
  test::copy_parameters(routed, self);
  Context ctx;
  test::expect_near(routed.run(), self.mechanism().forward(ctx, routed.x(), self.input()).value());
  routed.expect_slopes();
}

/// A choice among numbers that are none still is one: the first regions, as among equals.
TEST(RegionRouting, WhatIsNoNumberIsNeverBetter) {
  const AttentionShape shape{.dim = kDim, .num_heads = kHeads, .grid = {7, 7}};
  MechanismCheck check("{type: region_routing, n_win: 7, topk: 4, side_dwconv: 0}", shape, 1);
  Tensor x = check.x().clone();
  for (int64_t c = 0; c < x.size(2); ++c) x.f32()[48 * x.size(2) + c] = std::numeric_limits<float>::quiet_NaN();
  Context ctx;
  const Tensor y = check.mechanism().forward(ctx, x, check.input()).value();
  for (int64_t i = 0; i < 48 * y.size(2); ++i) EXPECT_TRUE(std::isfinite(y.f32()[i])) << i;
}

TEST(RegionRouting, RefusesMoreRegionsThanThereAre) {
  EXPECT_THAT(
      test::usage_error([] {
        MechanismCheck("{type: region_routing, n_win: 2, topk: 5}", {.dim = kDim, .num_heads = kHeads, .grid = {3, 4}});
      }),
      testing::HasSubstr("topk 5"));
}

}  // namespace
}  // namespace vit
