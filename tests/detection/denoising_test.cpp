// Denoising queries: who is whose, who sees whom, and how far the noise goes.
#include "detection/denoising.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"

namespace detection {
namespace {

using vit::Tensor;

vit::BoxTargets targets_of(const std::vector<std::array<float, 4>>& boxes, const std::vector<int64_t>& labels) {
  std::vector<float> numbers;
  for (const auto& box : boxes) numbers.insert(numbers.end(), box.begin(), box.end());
  const auto count = static_cast<int64_t>(labels.size());
  return {Tensor::from<float>(numbers, {count, 4}), Tensor::from<int64_t>(labels, {count})};
}

/// Three targets, none, and one.
std::vector<vit::BoxTargets> batch() {
  return {targets_of({{0.5f, 0.5f, 0.2f, 0.4f}, {0.2f, 0.3f, 0.1f, 0.1f}, {0.9f, 0.9f, 0.2f, 0.2f}}, {2, 0, 1}),
          {},
          targets_of({{0.4f, 0.6f, 0.3f, 0.2f}}, {3})};
}

constexpr DenoisingOptions kOptions{.queries = 10, .num_classes = 4, .matched_queries = 5};

TEST(DenoisingTest, PositivesAreMatchedToTheirTargetsInEveryGroup) {
  vit::Rng rng(1);
  const auto queries = make_denoising_queries(batch(), kOptions, rng);
  ASSERT_TRUE(queries);
  EXPECT_EQ(queries->groups, 3);  // 10 / 3
  ASSERT_EQ(queries->labels.shape(), vit::Shape({3, 18}));
  ASSERT_EQ(queries->matches.size(), 3u);
  EXPECT_EQ(queries->matches[0].size(), 9u);
  EXPECT_TRUE(queries->matches[1].empty());
  const std::vector<std::pair<int64_t, int64_t>> expected{{0, 0}, {6, 0}, {12, 0}};
  EXPECT_EQ(queries->matches[2], expected);
  for (int64_t i = 18; i < 36; ++i) EXPECT_EQ(queries->labels.data<int64_t>()[i], 4) << "a slot without a target";
}

TEST(DenoisingTest, GroupsSeeThemselvesAndTheModelsQueriesAndAreSeenByNobodyElse) {
  vit::Rng rng(1);
  const auto queries = make_denoising_queries(batch(), kOptions, rng);
  ASSERT_EQ(queries->mask.shape(), vit::Shape({23, 23}));
  for (int64_t row = 0; row < 23; ++row)
    for (int64_t col = 0; col < 23; ++col) {
      const bool hidden = col < 18 && (row >= 18 || row / 6 != col / 6);
      EXPECT_EQ(std::isinf(queries->mask.f32()[row * 23 + col]), hidden) << row << " " << col;
    }
}

TEST(DenoisingTest, CornersMoveByHalfAnExtentAndThoseOfNegativesUpToTwiceAsFar) {
  const std::vector<vit::BoxTargets> one{targets_of({{0.5f, 0.5f, 0.2f, 0.1f}}, {1})};
  double farthest[2] = {0, 0}, nearest[2] = {1, 1};
  vit::Rng rng(7);
  const auto queries =
      make_denoising_queries(one, {.queries = 400, .label_noise = 0.5f, .num_classes = 8, .matched_queries = 1}, rng);
  std::set<int64_t> labels;
  int64_t relabelled = 0;
  for (int64_t i = 0; i < 800; ++i) {
    const float* box = queries->boxes.f32() + 4 * i;
    const double left = box[0] - box[2] / 2, right = box[0] + box[2] / 2;
    for (const double moved : {std::abs(left - 0.4), std::abs(right - 0.6)}) {
      farthest[i % 2] = std::max(farthest[i % 2], moved / 0.1);  // in halves of the width
      nearest[i % 2] = std::min(nearest[i % 2], moved / 0.1);
    }
    const int64_t label = queries->labels.data<int64_t>()[i];
    labels.insert(label);
    relabelled += label != 1;
  }
  EXPECT_LE(farthest[0], 1.0 + 1e-5);
  EXPECT_GT(farthest[0], 0.9);
  EXPECT_GE(nearest[1], 1.0 - 1e-5);
  EXPECT_LE(farthest[1], 2.0 + 1e-5);
  EXPECT_GT(farthest[1], 1.9);
  // A quarter is drawn anew, an eighth of these as they were.
  EXPECT_NEAR(static_cast<double>(relabelled) / 800, 0.25 * 7 / 8, 0.05);
  EXPECT_EQ(labels.size(), 8u);
  EXPECT_LT(*labels.rbegin(), 8);
}

TEST(DenoisingTest, BoxesStayInsideTheImageAndTheSameSeedGivesTheSameBytes) {
  vit::Rng first(3, 9), second(3, 9), other(3, 10);
  const auto a = make_denoising_queries(batch(), kOptions, first),
             b = make_denoising_queries(batch(), kOptions, second);
  const auto c = make_denoising_queries(batch(), kOptions, other);
  EXPECT_TRUE(vit::test::same_bits(a->boxes, b->boxes));
  EXPECT_FALSE(vit::test::same_bits(a->boxes, c->boxes));
  for (int64_t i = 0; i < a->boxes.numel(); i += 4)
    for (int64_t axis = 0; axis < 2; ++axis) {
      EXPECT_GE(a->boxes.f32()[i + axis] - a->boxes.f32()[i + 2 + axis] / 2, -1e-6f);
      EXPECT_LE(a->boxes.f32()[i + axis] + a->boxes.f32()[i + 2 + axis] / 2, 1.0f + 1e-6f);
    }
}

TEST(DenoisingTest, NoiseOffGivesTheTargetsThemselves) {
  vit::Rng rng(1);
  const auto queries = make_denoising_queries(
      batch(), {.queries = 1, .label_noise = 0, .box_noise = 0, .num_classes = 4, .matched_queries = 2}, rng);
  EXPECT_EQ(queries->groups, 1);
  for (const auto& [query, target] : queries->matches[0]) {
    EXPECT_EQ(queries->labels.data<int64_t>()[query], batch()[0].labels.data<int64_t>()[target]);
    for (int64_t i = 0; i < 4; ++i)
      EXPECT_NEAR(queries->boxes.f32()[4 * query + i], batch()[0].boxes.f32()[4 * target + i], 1e-6f);
  }
}

TEST(DenoisingTest, NoTargetsMakeNoQueriesAndAnUnknownLabelIsRefused) {
  vit::Rng rng(1);
  EXPECT_FALSE(make_denoising_queries({{}, {}}, kOptions, rng));
  const std::vector<vit::BoxTargets> wrong{targets_of({{0.5f, 0.5f, 0.2f, 0.1f}}, {4})};
  EXPECT_THAT(vit::test::failure([&] { make_denoising_queries(wrong, kOptions, rng); }),
              testing::HasSubstr("label 4 is outside [0, 4)"));
}

}  // namespace
}  // namespace detection
