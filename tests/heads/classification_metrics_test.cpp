#include "vit/heads/classification_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/errors.h"

namespace vit {
namespace {

TEST(ClassificationMetrics, CountsRanksAndLoss) {
  const std::vector<float> logits = {0, 1, 2, 3, 4, 5, 6};
  ClassificationMetrics metrics;
  for (const int64_t target : {6, 2, 1}) metrics.add(logits.data(), 7, target);
  EXPECT_EQ(metrics.count(), 3);
  EXPECT_DOUBLE_EQ(metrics.top1(), 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(metrics.top5(), 2.0 / 3.0);
  double sum = 0.0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x));
  EXPECT_NEAR(metrics.loss(), std::log(sum) - 3.0, 1e-12);
}

TEST(ClassificationMetrics, EqualLogitsAreRankedByIndex) {
  const std::vector<float> logits(6, 1.0f);
  ClassificationMetrics first, last;
  first.add(logits.data(), 6, 0);
  last.add(logits.data(), 6, 5);
  EXPECT_EQ(first.top1(), 1.0);
  EXPECT_EQ(last.top1(), 0.0);
  EXPECT_EQ(last.top5(), 0.0);
}

TEST(ClassificationMetrics, LargeLogitsDoNotOverflow) {
  const std::vector<float> logits = {3e38f, -3e38f};
  ClassificationMetrics metrics;
  metrics.add(logits.data(), 2, 0);
  EXPECT_EQ(metrics.loss(), 0.0);
}

TEST(ClassificationMetrics, NanIsNeverAHit) {
  const std::vector<float> logits(3, std::numeric_limits<float>::quiet_NaN());
  ClassificationMetrics metrics;
  metrics.add(logits.data(), 3, 0);
  EXPECT_EQ(metrics.top1(), 0.0);
  EXPECT_EQ(metrics.top5(), 0.0);
}

TEST(ClassificationMetrics, NothingIsNoFigureAndWrongClassesAreErrors) {
  ClassificationMetrics metrics;
  EXPECT_TRUE(std::isnan(metrics.top1()));
  const float logit = 1.0f;
  vit::test::failure([&] { metrics.add(&logit, 1, 1); });
  vit::test::failure([&] { metrics.add(&logit, 1, -1); });
}

}  // namespace
}  // namespace vit
