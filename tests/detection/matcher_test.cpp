// The assignment against trying all of them; the costs against their definitions.
#include "detection/matcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tests/support/errors.h"
#include "vit/core/rng.h"
#include "vit/image/boxes.h"

namespace detection {
namespace {

using vit::BoxTargets;
using vit::Rng;
using vit::Tensor;

double total(const std::vector<double>& cost, int64_t columns, const Matches& matches) {
  double sum = 0.0;
  for (const auto& [row, column] : matches) sum += cost[static_cast<size_t>(row * columns + column)];
  return sum;
}

/// The least total cost over all ways to give every row of the smaller side a column of its own.
double brute_force(const std::vector<double>& cost, int64_t rows, int64_t columns) {
  const bool wide = rows <= columns;
  std::vector<int64_t> order(static_cast<size_t>(std::max(rows, columns)));
  std::iota(order.begin(), order.end(), 0);
  double least = std::numeric_limits<double>::infinity();
  do {
    double sum = 0.0;
    for (int64_t i = 0; i < std::min(rows, columns); ++i) {
      const int64_t other = order[static_cast<size_t>(i)];
      sum += cost[static_cast<size_t>(wide ? i * columns + other : other * columns + i)];
    }
    least = std::min(least, sum);
  } while (std::next_permutation(order.begin(), order.end()));
  return least;
}

struct Size {
  int64_t rows, columns;
};

class Assign : public testing::TestWithParam<Size> {};

TEST_P(Assign, IsTheCheapestOfAll) {
  const auto [rows, columns] = GetParam();
  Rng rng(7, static_cast<uint64_t>(rows * 100 + columns));
  for (int trial = 0; trial < 40; ++trial) {
    std::vector<double> cost(static_cast<size_t>(rows * columns));
    // Every other trial has few distinct costs: ties.
    for (double& c : cost) c = trial % 2 ? static_cast<double>(rng.next_u32() % 4) : rng.normal();
    const Matches matches = assign(cost, rows, columns);
    ASSERT_EQ(static_cast<int64_t>(matches.size()), std::min(rows, columns));
    EXPECT_TRUE(std::is_sorted(matches.begin(), matches.end()));
    std::vector<int64_t> seen;
    for (const auto& match : matches) seen.push_back(match.second);
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(std::adjacent_find(seen.begin(), seen.end()), seen.end()) << "a column twice";
    EXPECT_NEAR(total(cost, columns, matches), brute_force(cost, rows, columns), 1e-9);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Assign,
                         testing::Values(Size{1, 1}, Size{1, 6}, Size{6, 1}, Size{3, 3}, Size{4, 7}, Size{7, 4},
                                         Size{6, 6}, Size{7, 7}),
                         [](const auto& item) {
                           return std::to_string(item.param.rows) + "x" + std::to_string(item.param.columns);
                         });

TEST(Assign, NothingToAssign) {
  EXPECT_TRUE(assign({}, 0, 5).empty());
  EXPECT_TRUE(assign({}, 5, 0).empty());
}

TEST(Assign, EqualCostsMakeTheIdentity) {
  const std::vector<double> cost(12, 1.0);
  EXPECT_EQ(assign(cost, 3, 4), (Matches{{0, 0}, {1, 1}, {2, 2}}));
  EXPECT_EQ(assign(cost, 4, 3), (Matches{{0, 0}, {1, 1}, {2, 2}}));
}

TEST(Assign, LargeAndEqualToADual) {
  // cost = u_i + v_j + slack with a hidden assignment of no slack: its total is known.
  constexpr int64_t kRows = 120, kColumns = 300;
  Rng rng(3, 1);
  std::vector<double> cost(kRows * kColumns), u(kRows);
  for (double& value : u) value = rng.normal();
  for (int64_t i = 0; i < kRows; ++i)
    for (int64_t j = 0; j < kColumns; ++j)
      cost[static_cast<size_t>(i * kColumns + j)] =
          u[static_cast<size_t>(i)] + (j == (i * 7 + 3) % kColumns ? 0.0 : 0.01 + std::abs(rng.normal()));
  for (const auto& [row, column] : assign(cost, kRows, kColumns)) EXPECT_EQ(column, (row * 7 + 3) % kColumns);
}

TEST(Assign, RefusesWhatIsNotFinite) {
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    std::vector<double> cost(6, 1.0);
    cost[4] = bad;
    EXPECT_THAT(vit::test::failure([&] { assign(cost, 2, 3); }), testing::HasSubstr("row 1, column 1"));
  }
  EXPECT_THAT(vit::test::failure([] { assign(std::vector<double>(5, 0.0), 2, 3); }), testing::HasSubstr("2 x 3"));
}

BoxTargets targets(const std::vector<int64_t>& labels, const std::vector<float>& boxes) {
  const auto count = static_cast<int64_t>(labels.size());
  return {Tensor::from(boxes, {count, 4}), Tensor::from(labels, {count})};
}

constexpr std::array<float, 8> kBoxes = {0.3f, 0.3f, 0.2f, 0.2f, 0.7f, 0.6f, 0.3f, 0.4f};

TEST(MatchQueries, ByBoxesAlone) {
  const std::vector<float> logits(2 * 4, 0.0f);
  const BoxTargets wanted = targets({0, 1}, {0.7f, 0.6f, 0.3f, 0.4f, 0.3f, 0.3f, 0.2f, 0.2f});
  for (const Scoring scoring : {Scoring::softmax, Scoring::sigmoid})
    EXPECT_EQ(match_queries(logits.data(), kBoxes.data(), 2, 3, scoring, wanted, {}), (Matches{{0, 1}, {1, 0}}));
}

TEST(MatchQueries, ByClassesAlone) {
  const BoxTargets wanted = targets({2, 0}, {0.3f, 0.3f, 0.2f, 0.2f, 0.7f, 0.6f, 0.3f, 0.4f});
  const MatchCosts costs{.cost_bbox = 0.0, .cost_giou = 0.0};
  const std::vector<float> soft = {3, 0, 0, 0, 0, 0, 3, 0};
  EXPECT_EQ(match_queries(soft.data(), kBoxes.data(), 2, 3, Scoring::softmax, wanted, costs),
            (Matches{{0, 1}, {1, 0}}));
  const std::vector<float> sigmoid = {3, -3, -3, -3, -3, 3};
  EXPECT_EQ(match_queries(sigmoid.data(), kBoxes.data(), 2, 3, Scoring::sigmoid, wanted, costs),
            (Matches{{0, 1}, {1, 0}}));
}

TEST(MatchQueries, MoreTargetsThanQueries) {
  const std::vector<float> logits(3, 0.0f);
  const BoxTargets wanted = targets({0, 1}, {0.9f, 0.9f, 0.1f, 0.1f, 0.3f, 0.3f, 0.2f, 0.2f});
  EXPECT_EQ(match_queries(logits.data(), kBoxes.data(), 1, 2, Scoring::softmax, wanted, {}), (Matches{{0, 1}}));
}

TEST(MatchQueries, RefusesLabelsAndNumbers) {
  std::vector<float> logits(8, 0.0f);
  const BoxTargets wanted = targets({3}, {0.3f, 0.3f, 0.2f, 0.2f});
  const auto refused = [&](const BoxTargets& of) {
    return vit::test::failure([&] { match_queries(logits.data(), kBoxes.data(), 2, 3, Scoring::softmax, of, {}); });
  };
  EXPECT_THAT(refused(wanted), testing::HasSubstr("label 3 is outside [0, 3)"));
  logits[1] = std::nanf("");
  EXPECT_THAT(refused(targets({1}, {0.3f, 0.3f, 0.2f, 0.2f})), testing::HasSubstr("finite"));
}

}  // namespace
}  // namespace detection
