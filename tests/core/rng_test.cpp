#include "vit/core/rng.h"

#include <gtest/gtest.h>

#include <cmath>

namespace vit {
namespace {

TEST(Rng, IsPhilox4x32With10Rounds) {
  // Known answer for the all-zero counter and key, from the Random123 distribution's kat_vectors.
  Rng rng(0, 0);
  EXPECT_EQ(rng.next_u32(), 0x6627e8d5u);
  EXPECT_EQ(rng.next_u32(), 0xe169c58du);
  EXPECT_EQ(rng.next_u32(), 0xbc57ac4cu);
  EXPECT_EQ(rng.next_u32(), 0x9b00dbd8u);
}

TEST(Rng, SeedsAndStreamsAreIndependent) {
  Rng a(1, 2), again(1, 2), other_seed(2, 2), other_stream(1, 3);
  const uint32_t first = a.next_u32();
  EXPECT_EQ(again.next_u32(), first);
  EXPECT_NE(other_seed.next_u32(), first);
  EXPECT_NE(other_stream.next_u32(), first);
  EXPECT_NE(Rng::stream_of("blocks.0"), Rng::stream_of("blocks.1"));
}

TEST(Rng, MomentsOfItsDistributions) {
  constexpr int64_t kCount = 200000;
  Tensor values = Tensor::empty({kCount});
  const auto moments = [&](double& mean, double& variance) {
    double sum = 0, squares = 0;
    for (float v : values.span<float>()) sum += v, squares += static_cast<double>(v) * v;
    mean = sum / kCount;
    variance = squares / kCount - mean * mean;
  };
  double mean = 0, variance = 0;
  Rng rng(7);
  fill_normal(values, rng, 2.0f, 1.0f);
  moments(mean, variance);
  EXPECT_NEAR(mean, 1.0, 5 * 2.0 / std::sqrt(kCount));
  EXPECT_NEAR(variance, 4.0, 5 * 4.0 * std::sqrt(2.0 / kCount));
  fill_uniform(values, rng, -1.0f, 3.0f);
  moments(mean, variance);
  EXPECT_NEAR(mean, 1.0, 5 * 1.16 / std::sqrt(kCount));
  EXPECT_NEAR(variance, 16.0 / 12.0, 0.02);
  fill_truncated_normal(values, rng, 0.5f);
  for (float v : values.span<float>()) ASSERT_LE(std::abs(v), 1.0f);
}

}  // namespace
}  // namespace vit
