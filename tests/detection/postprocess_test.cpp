#include "detection/postprocess.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"

namespace detection {
namespace {

using vit::Tensor;

const vit::Extent kSize{.height = 100, .width = 200};

/// Two pictures with three queries of two classes (and, for softmax, "no object").
Tensor boxes() {
  Tensor all = Tensor::zeros({2, 3, 4});
  const float second[] = {0.5f, 0.5f, 0.5f, 0.5f, 0.25f, 0.5f, 0.1f, 0.2f, 0.0f, 1.0f, 0.5f, 0.5f};
  std::copy(std::begin(second), std::end(second), all.f32() + 12);
  return all;
}

Tensor softmax_logits() {
  Tensor logits = Tensor::zeros({2, 3, 3});
  const float second[] = {1.0f, 3.0f, 0.0f, 0.0f, 0.0f, 9.0f, 2.0f, 2.0f, 2.0f};
  std::copy(std::begin(second), std::end(second), logits.f32() + 9);
  return logits;
}

TEST(Postprocess, SoftmaxGivesEachQueryItsBestClassInTheOrderOfQueries) {
  const auto found = postprocess(softmax_logits(), boxes(), 1, Scoring::softmax, 0, kSize, {.threshold = 0.1});
  ASSERT_EQ(found.size(), 2u) << "the second query says \"no object\"";
  EXPECT_EQ(found[0].index, 1);
  EXPECT_EQ(found[0].query, 0);
  EXPECT_NEAR(found[0].score, std::exp(3.0) / (std::exp(1.0) + std::exp(3.0) + 1.0), 1e-12);
  EXPECT_EQ(found[0].box, (vit::Corners{50, 25, 150, 75}));
  EXPECT_EQ(found[1].index, 0) << "the first of equals";
  EXPECT_EQ(found[1].query, 2);
  EXPECT_EQ(found[1].box, (vit::Corners{-50, 75, 50, 125})) << "boxes are not cut at the picture's edge";
}

TEST(Postprocess, SigmoidGivesTheBestPairsInFallingOrder) {
  Tensor logits = Tensor::zeros({2, 3, 2});
  const float second[] = {1.0f, 3.0f, 3.0f, -9.0f, 2.0f, -9.0f};
  std::copy(std::begin(second), std::end(second), logits.f32() + 6);
  const auto found = postprocess(logits, boxes(), 1, Scoring::sigmoid, 4, kSize, {.threshold = 0.5});
  ASSERT_EQ(found.size(), 4u);
  const int64_t queries[] = {0, 1, 2, 0}, classes[] = {1, 0, 0, 0};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(found[i].query, queries[i]) << i;
    EXPECT_EQ(found[i].index, classes[i]) << i;
  }
  EXPECT_NEAR(found[2].score, 1.0 / (1.0 + std::exp(-2.0)), 1e-12);
  EXPECT_EQ(postprocess(logits, boxes(), 1, Scoring::sigmoid, 2, kSize, {.threshold = 0.5}).size(), 2u);
  EXPECT_EQ(postprocess(logits, boxes(), 1, Scoring::sigmoid, 99, kSize, {.threshold = -1.0}).size(), 6u);
}

TEST(Postprocess, OnlyScoresAboveTheThreshold) {
  const Tensor logits = Tensor::zeros({1, 3, 2}), at = Tensor::zeros({1, 3, 4});
  EXPECT_TRUE(postprocess(logits, at, 0, Scoring::sigmoid, 9, kSize, {.threshold = 0.5}).empty());
  EXPECT_EQ(postprocess(logits, at, 0, Scoring::sigmoid, 9, kSize, {.threshold = 0.49}).size(), 6u);
}

TEST(Postprocess, MaxDetLeavesTheBestInTheirOrder) {
  Tensor logits = Tensor::zeros({1, 4, 2});
  for (int64_t q = 0; q < 4; ++q) logits.f32()[2 * q] = q == 2 ? -1.0f : static_cast<float>(q);
  const Tensor at = Tensor::zeros({1, 4, 4});
  const auto found = postprocess(logits, at, 0, Scoring::softmax, 0, kSize, {.threshold = 0.0, .max_det = 2});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].query, 1);
  EXPECT_EQ(found[1].query, 3);
}

TEST(Postprocess, SortsBestFirstAndKeepsTheOrderOfEquals) {
  std::vector<Detection> all = {{.score = 0.2, .query = 0}, {.score = 0.7, .query = 1}, {.score = 0.7, .query = 2}};
  sort_by_score(all);
  EXPECT_EQ(all[0].query, 1);
  EXPECT_EQ(all[1].query, 2);
  EXPECT_EQ(all[2].query, 0);
}

TEST(Postprocess, RefusesWhatIsNotFiniteInThatPictureOnly) {
  Tensor logits = softmax_logits();
  logits.f32()[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(vit::test::failure([&] { postprocess(logits, boxes(), 0, Scoring::softmax, 0, kSize, {}); }),
              testing::HasSubstr("not finite"));
  EXPECT_NO_THROW(postprocess(logits, boxes(), 1, Scoring::softmax, 0, kSize, {}));
  Tensor endless = boxes();
  endless.f32()[12] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(vit::test::failure([&] { postprocess(softmax_logits(), endless, 1, Scoring::softmax, 0, kSize, {}); }),
              testing::HasSubstr("not finite"));
}

TEST(Postprocess, RefusesShapesThatDoNotFit) {
  const auto failure = [](const Tensor& logits, const Tensor& at, int64_t b) {
    return vit::test::failure([&] { postprocess(logits, at, b, Scoring::softmax, 0, kSize, {}); });
  };
  EXPECT_THAT(failure(Tensor::zeros({2, 4, 3}), boxes(), 0), testing::HasSubstr("boxes [B, Q, 4]"));
  EXPECT_THAT(failure(softmax_logits(), boxes(), 2), testing::HasSubstr("no picture 2"));
  EXPECT_THAT(failure(Tensor::zeros({2, 3, 1}), boxes(), 0), testing::HasSubstr("no object"));
}

}  // namespace
}  // namespace detection
