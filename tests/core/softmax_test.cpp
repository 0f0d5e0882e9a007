#include "vit/core/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace vit {
namespace {

TEST(SoftmaxRow, IsTheDefinition) {
  const std::vector<float> z = {0.5f, -1.25f, 2.0f, 0.0f};
  double total = 0.0;
  for (const float value : z) total += std::exp(static_cast<double>(value));
  const SoftmaxRow row(z.data(), 4);
  double sum = 0.0;
  for (int64_t k = 0; k < 4; ++k) {
    const double expected = std::exp(static_cast<double>(z[static_cast<size_t>(k)])) / total;
    EXPECT_NEAR(row.probability(k), expected, 1e-15);
    EXPECT_NEAR(row.log_probability(k), std::log(expected), 1e-14);
    EXPECT_EQ(softmax_probability(z.data(), 4, k), row.probability(k));
    sum += row.probability(k);
  }
  EXPECT_NEAR(sum, 1.0, 1e-15);
}

TEST(SoftmaxRow, StaysFiniteForLogitsFarApart) {
  const std::vector<float> z = {3000.0f, -3000.0f};
  const SoftmaxRow row(z.data(), 2);
  EXPECT_EQ(row.probability(0), 1.0);
  EXPECT_EQ(row.probability(1), 0.0);
  EXPECT_EQ(row.log_probability(0), 0.0);
  EXPECT_EQ(row.log_probability(1), -6000.0);
}

TEST(SoftmaxRow, OneClassIsCertain) {
  const float z = -7.0f;
  EXPECT_EQ(softmax_probability(&z, 1, 0), 1.0);
}

}  // namespace
}  // namespace vit
