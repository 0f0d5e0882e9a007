#include "vit/explain/road.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "tests/explain/region_subject.h"
#include "tests/support/errors.h"
#include "vit/core/rng.h"

namespace vit {
namespace {

using testing::HasSubstr;

constexpr int64_t kSide = 16;
constexpr double kExact = 1e-7;

Tensor noise_picture(int64_t channels) {
  Tensor pixels = Tensor::empty({1, channels, kSide, kSide});
  Rng rng(7);
  fill_uniform(pixels, rng, -1.0f, 1.0f);
  return pixels;
}

std::vector<uint8_t> random_mask(double share, uint64_t seed) {
  std::vector<uint8_t> removed(static_cast<size_t>(kSide * kSide));
  Rng rng(seed);
  for (uint8_t& value : removed) value = rng.uniform() < static_cast<float>(share) ? 1 : 0;
  return removed;
}

/// The weighted mean of a pixel's neighbours, as the paper defines it.
double neighbour_mean(const float* channel, int64_t y, int64_t x) {
  double sum = 0.0, total = 0.0;
  for (int64_t v = -1; v <= 1; ++v)
    for (int64_t u = -1; u <= 1; ++u) {
      if ((u == 0 && v == 0) || y + v < 0 || y + v >= kSide || x + u < 0 || x + u >= kSide) continue;
      const double weight = std::abs(u) + std::abs(v) == 1 ? 1.0 / 6.0 : 1.0 / 12.0;
      sum += weight * static_cast<double>(channel[(y + v) * kSide + x + u]);
      total += weight;
    }
  return sum / total;
}

// Every removed pixel is the mean of its neighbours, removed or not; every other one is as it was.
TEST(Road, ImputationSolvesItsEquations) {
  for (const double share : {0.1, 0.5, 0.9}) {
    const Tensor pixels = noise_picture(3);
    const std::vector<uint8_t> removed = random_mask(share, 11);
    const Tensor imputed = imputed_pixels(pixels, removed, kExact);
    for (int64_t i = 0; i < pixels.numel(); ++i) {
      const int64_t pixel = i % (kSide * kSide);
      const float* channel = imputed.f32() + (i - pixel);
      if (removed[static_cast<size_t>(pixel)] == 0) {
        EXPECT_EQ(imputed.f32()[i], pixels.f32()[i]) << i;
      } else {
        // 1e-7 of the pixels' size over all of 230 unknowns, and the rounding of the result to f32.
        EXPECT_NEAR(imputed.f32()[i], neighbour_mean(channel, pixel / kSide, pixel % kSide), 2e-5) << i;
      }
    }
  }
}

TEST(Road, ALinearRampIsFilledExactly) {
  const Tensor ramp = Tensor::empty({1, 1, kSide, kSide});
  std::vector<uint8_t> removed(static_cast<size_t>(kSide * kSide), 0);
  for (int64_t i = 0; i < kSide * kSide; ++i) {
    ramp.f32()[i] = 0.25f * static_cast<float>(i / kSide) - 0.5f * static_cast<float>(i % kSide) + 1.0f;
    const bool inner = i / kSide >= 3 && i / kSide < 11 && i % kSide >= 2 && i % kSide < 14;
    removed[static_cast<size_t>(i)] = inner ? 1 : 0;
  }
  const Tensor imputed = imputed_pixels(ramp, removed, kExact);
  for (int64_t i = 0; i < kSide * kSide; ++i) EXPECT_NEAR(imputed.f32()[i], ramp.f32()[i], 2e-4) << i;
}

// What the default leaves open is small beside the noise of 0.01, and a wide hole with one shore takes no long time.
TEST(Road, TheUsualToleranceIsEnough) {
  const Tensor pixels = noise_picture(1);
  std::vector<uint8_t> removed(static_cast<size_t>(kSide * kSide), 0);
  std::fill_n(removed.begin(), kSide * 12, uint8_t{1});
  const Tensor usual = imputed_pixels(pixels, removed), exact = imputed_pixels(pixels, removed, kExact);
  for (int64_t i = 0; i < pixels.numel(); ++i) EXPECT_NEAR(usual.f32()[i], exact.f32()[i], 1e-2) << i;
}

TEST(Road, OnePixelIsEnoughToFillFrom) {
  const Tensor pixels = noise_picture(1);
  std::vector<uint8_t> removed(static_cast<size_t>(kSide * kSide), 1);
  removed[5] = 0;
  const Tensor imputed = imputed_pixels(pixels, removed, kExact);
  for (const float value : imputed.span<float>()) EXPECT_NEAR(value, pixels.f32()[5], 1e-3);
  removed[5] = 1;
  EXPECT_THAT(test::failure([&] { static_cast<void>(imputed_pixels(pixels, removed)); }), HasSubstr("nothing is left"));
}

const test::Region kRegion{.top = 4, .left = 5, .height = 6, .width = 6};

/// 1 in the region, 0 elsewhere: what fills the region from around is 0.
Road road_of(const Tensor& map, const RoadOptions& options = {}) {
  const test::RegionSubject subject(kRegion);
  const Tensor picture = test::region_map(kRegion, kSide, 1.0f, 0.0f).view({1, 1, kSide, kSide});
  return measure_road(subject, picture, RemovalOrder(map, kSide, kSide), options);
}

TEST(Road, TheTrueMapBeatsARandomOneAndThatItsInverse) {
  Tensor noise = Tensor::empty({kSide, kSide});
  Rng rng(3);
  fill_uniform(noise, rng, 0.0f, 1.0f);
  const Road right = road_of(test::region_map(kRegion, kSide, 1.0f, 0.0f)), random = road_of(noise),
             wrong = road_of(test::region_map(kRegion, kSide, 0.0f, 1.0f));
  EXPECT_GT(right.combined, 0.4);
  EXPECT_NEAR(random.combined, 0.0, 0.1);
  EXPECT_LT(wrong.combined, -0.4);
}

TEST(Road, CombinesBothOrders) {
  const Road road = road_of(test::region_map(kRegion, kSide, 1.0f, 0.0f), {.shares = {0.2, 0.5}});
  ASSERT_EQ(road.morf.size(), 2u);
  ASSERT_EQ(road.lerf.size(), 2u);
  // A fifth of 256 pixels is all of the region's 36: it is filled with what is around it, up to the noise.
  EXPECT_NEAR(road.morf[0], 0.0, 0.01);
  EXPECT_NEAR(road.lerf[0], 1.0, 1e-6);
  EXPECT_DOUBLE_EQ(road.combined, 0.25 * (road.lerf[0] + road.lerf[1] - road.morf[0] - road.morf[1]));
}

TEST(Road, NoiseIsOfTheSeedAndNotOfBatches) {
  const Tensor map = test::region_map(kRegion, kSide, 1.0f, 0.0f);
  EXPECT_EQ(road_of(map, {.batch_size = 1}).morf, road_of(map, {.batch_size = 8}).morf);
  EXPECT_NE(road_of(map, {.seed = 1}).morf, road_of(map, {.seed = 2}).morf);
  EXPECT_EQ(road_of(map, {.noise = 0.0, .seed = 1}).morf, road_of(map, {.noise = 0.0, .seed = 2}).morf);
}

TEST(Road, SharesAreChecked) {
  const Tensor map = Tensor::zeros({2, 2});
  EXPECT_THAT(test::failure([&] { static_cast<void>(road_of(map, {.shares = {1.0}})); }), HasSubstr("below 1"));
  EXPECT_THAT(test::failure([&] { static_cast<void>(road_of(map, {.shares = {}})); }), HasSubstr("no share"));
}

}  // namespace
}  // namespace vit
