#include "vit/explain/token_flow.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/support/errors.h"

namespace vit {
namespace {

using Values = std::vector<double>;

TEST(FusedHeads, TakesMeanLeastMostOrOne) {
  const Tensor probs = Tensor::from<float>({1.0f, 4.0f, 3.0f, 2.0f}, {2, 1, 2});
  const auto values = [&](const std::optional<int64_t>& head, HeadFusion fusion) {
    const Tensor fused = fused_heads(probs, head, fusion);
    return std::vector<float>(fused.f32(), fused.f32() + 2);
  };
  EXPECT_EQ(values({}, HeadFusion::mean), (std::vector<float>{2.0f, 3.0f}));
  EXPECT_EQ(values({}, HeadFusion::min), (std::vector<float>{1.0f, 2.0f}));
  EXPECT_EQ(values({}, HeadFusion::max), (std::vector<float>{3.0f, 4.0f}));
  EXPECT_EQ(values(1, HeadFusion::mean), (std::vector<float>{3.0f, 2.0f}));
  EXPECT_THAT(test::usage_error([&] { values(2, HeadFusion::mean); }), testing::HasSubstr("no attention head 2"));
}

TEST(DiscardWeakest, KeepsTheFirstEntryAndTheStrongest) {
  Tensor matrix = Tensor::from<float>({0.0f, 0.3f, 0.1f, 0.6f}, {2, 2});
  matrix.f32()[0] = 0.05f;
  discard_weakest(matrix, 0.5);
  EXPECT_EQ(matrix.f32()[0], 0.05f);
  EXPECT_EQ(matrix.f32()[1], 0.3f);
  EXPECT_EQ(matrix.f32()[2], 0.0f);
  EXPECT_EQ(matrix.f32()[3], 0.6f);
}

TEST(ThroughLayer, TokensThatDoNotAskStay) {
  // One of two tokens asks, and gives three quarters to the other.
  const Tensor matrix = Tensor::from<float>({0.25f, 0.75f}, {1, 2});
  EXPECT_EQ(through_layer({1.0, 0.0}, matrix, FlowRule::rollout), (Values{0.625, 0.375}));
  EXPECT_EQ(through_layer({0.0, 1.0}, matrix, FlowRule::rollout), (Values{0.0, 1.0}));
  EXPECT_EQ(through_layer({1.0, 0.0}, matrix, FlowRule::relevance), (Values{1.25, 0.75}));
}

TEST(OnLayout, CellsShareByArea) {
  const TokenLayout coarse{.prefix = 1, .rows = 1, .columns = 2}, fine{.prefix = 0, .rows = 2, .columns = 4};
  const Values spread = on_layout({9.0, 4.0, 8.0}, coarse, fine, 8);
  EXPECT_EQ(spread, (Values{1, 1, 2, 2, 1, 1, 2, 2})) << "the class token's value goes";
  const Values gathered = on_layout(spread, fine, coarse, 3);
  EXPECT_EQ(gathered, (Values{0.0, 4.0, 8.0}));
}

TEST(OnLayout, KeepsSumsWhereCellsDoNotFit) {
  const TokenLayout coarse{.rows = 2, .columns = 3}, fine{.rows = 5, .columns = 7};
  Values values(6);
  std::iota(values.begin(), values.end(), 1.0);
  const Values spread = on_layout(values, coarse, fine, 35);
  EXPECT_NEAR(std::accumulate(spread.begin(), spread.end(), 0.0), 21.0, 1e-12);
}

TEST(FlowBack, MultipliesFromTheTop) {
  const TokenLayout layout{.rows = 1, .columns = 2};
  const Tensor swap = Tensor::from<float>({0.0f, 1.0f, 1.0f, 0.0f}, {2, 2});
  const Tensor stay = Tensor::from<float>({1.0f, 0.0f, 0.0f, 1.0f}, {2, 2});
  // (I + swap) / 2, then nothing: half on each.
  EXPECT_EQ(flow_back({{swap, layout}, {stay, layout}}, {1.0, 0.0}, FlowRule::rollout), (Values{0.5, 0.5}));
  // (1, 0) (I + stay) (I + swap) - (1, 0) = (2, 2) - (1, 0).
  EXPECT_EQ(flow_back({{swap, layout}, {stay, layout}}, {1.0, 0.0}, FlowRule::relevance), (Values{1.0, 2.0}));
  EXPECT_THAT(test::failure([] { flow_back({}, {1.0}, FlowRule::rollout); }), testing::HasSubstr("no layers"));
}

TEST(CellsOf, NeedsRoomForTheGrid) {
  const Tensor cells = cells_of({9.0, 1.0, 2.0}, {.prefix = 1, .rows = 1, .columns = 2});
  EXPECT_EQ(cells.shape(), Shape({1, 2}));
  EXPECT_EQ(cells.f32()[1], 2.0f);
  EXPECT_THAT(test::failure([] { cells_of({1.0}, {.rows = 2, .columns = 2}); }), testing::HasSubstr("2 x 2"));
}

}  // namespace
}  // namespace vit
