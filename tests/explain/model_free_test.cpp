// The methods that need nothing but answers: RISE and occlusion.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/explain/region_subject.h"
#include "tests/support/errors.h"
#include "vit/core/parallel.h"
#include "vit/explain/method.h"

namespace vit {
namespace {

using testing::HasSubstr;

constexpr int64_t kSide = 28;
const test::Region kRegion{.top = 6, .left = 14, .height = 8, .width = 8};

/// Means of a map inside the region and outside of it.
struct Means {
  double inside = 0.0, outside = 0.0;
};
Means means(const Tensor& map) {
  Means result;
  for (int64_t i = 0; i < map.numel(); ++i)
    (kRegion.holds(i / kSide, i % kSide) ? result.inside : result.outside) += static_cast<double>(map.f32()[i]);
  result.inside /= 64.0;
  result.outside /= static_cast<double>(kSide * kSide - 64);
  return result;
}

std::vector<float> values(const Tensor& map) { return {map.f32(), map.f32() + map.numel()}; }

TEST(ModelFree, RiseFindsTheRegion) {
  const test::RegionSubject subject(kRegion);
  const Explanation rise = explain("rise", subject, test::flat_picture(3, kSide), {.samples = 400});
  EXPECT_EQ(rise.map.shape(), Shape({kSide, kSide}));
  // The score is the mean of the mask over the region: 0.5 on the whole, more where it is seen.
  const Means found = means(rise.map);
  EXPECT_NEAR(found.outside, 0.5, 0.05);
  EXPECT_GT(found.inside, found.outside + 0.05);
  const auto highest = std::max_element(rise.map.f32(), rise.map.f32() + rise.map.numel()) - rise.map.f32();
  EXPECT_TRUE(kRegion.holds(highest / kSide, highest % kSide)) << highest;
  EXPECT_FALSE(rise.is_signed);
}

// A subject of one pixel: its map is the mean of the masks' products with that pixel's value, over 0.5, so the pixel
// itself has E[m^2] / 0.5 and a far one E[m] E[m'] / 0.5 = 0.5.
TEST(ModelFree, RiseIsTheWeightedMeanOfTheMasks) {
  const test::RegionSubject pixel({.top = 3, .left = 3});
  const Explanation rise = explain("rise", pixel, test::flat_picture(1, kSide), {.samples = 4000, .batch_size = 500});
  EXPECT_NEAR(rise.map.f32()[(kSide - 1) * kSide + kSide - 1], 0.5, 0.04);
  const float at_pixel = rise.map.f32()[3 * kSide + 3];
  EXPECT_EQ(at_pixel, *std::max_element(rise.map.f32(), rise.map.f32() + rise.map.numel()));
  // Masks are 0 to 1 with mean 0.5: 0.25 <= E[m^2] <= 0.5.
  EXPECT_GT(at_pixel, 0.55);
  EXPECT_LE(at_pixel, 1.0);
}

TEST(ModelFree, RiseDependsOnNeitherBatchesNorThreadsButOnTheSeed) {
  const test::RegionSubject subject(kRegion);
  const Tensor picture = test::flat_picture(3, kSide);
  const auto map = [&](int64_t batch_size, uint64_t seed) {
    return values(explain("rise", subject, picture, {.samples = 50, .batch_size = batch_size, .seed = seed}).map);
  };
  const std::vector<float> expected = map(8, 1);
  EXPECT_EQ(map(1, 1), expected);
  EXPECT_EQ(map(64, 1), expected);
  EXPECT_NE(map(8, 2), expected);
  const int threads = num_threads();
  set_num_threads(1);
  EXPECT_EQ(map(8, 1), expected);
  set_num_threads(threads);
}

TEST(ModelFree, RiseWantsMasks) {
  const test::RegionSubject subject(kRegion);
  EXPECT_THAT(
      test::usage_error([&] { static_cast<void>(explain("rise", subject, test::flat_picture(1, 8), {.samples = 0})); }),
      HasSubstr("samples must be at least 1"));
}

// Squares of 4 x 4 pixels, 2 apart: every pixel is the mean, over the squares that hide it, of the share of the region
// that they hide.
TEST(ModelFree, OcclusionIsTheMeanFallOfTheScore) {
  const test::RegionSubject subject(kRegion);
  const Explanation occlusion = explain("occlusion", subject, test::flat_picture(2, kSide), {.batch_size = 5});
  EXPECT_TRUE(occlusion.is_signed);
  for (int64_t y = 0; y < kSide; ++y)
    for (int64_t x = 0; x < kSide; ++x) {
      double sum = 0.0, squares = 0.0;
      for (int64_t top = 0; top <= kSide - 4; top += 2)
        for (int64_t left = 0; left <= kSide - 4; left += 2) {
          if (y < top || y >= top + 4 || x < left || x >= left + 4) continue;
          const int64_t rows = std::min<int64_t>(top + 4, 14) - std::max<int64_t>(top, 6);
          const int64_t columns = std::min<int64_t>(left + 4, 22) - std::max<int64_t>(left, 14);
          sum += static_cast<double>(std::max<int64_t>(rows, 0) * std::max<int64_t>(columns, 0)) / 64.0;
          squares += 1.0;
        }
      EXPECT_NEAR(occlusion.map.f32()[y * kSide + x], sum / squares, 1e-6) << y << ", " << x;
    }
}

TEST(ModelFree, OcclusionCoversPicturesThatSquaresDoNotDivide) {
  const test::RegionSubject corner({.top = 29, .left = 29, .height = 1, .width = 1});
  const Explanation last = explain("occlusion", corner, test::flat_picture(1, 30));
  EXPECT_NEAR(last.map.f32()[30 * 30 - 1], 1.0, 1e-6);
  EXPECT_EQ(last.map.f32()[0], 0.0f);
  const test::RegionSubject tiny({.top = 2, .left = 2, .height = 1, .width = 1});
  const Explanation small = explain("occlusion", tiny, test::flat_picture(1, 3));
  EXPECT_EQ(values(small.map), (std::vector<float>{0, 0, 0, 0, 0, 0, 0, 0, 1}));
}

TEST(ModelFree, OcclusionShowsWhatSpeaksAgainst) {
  const test::RegionSubject subject(kRegion);
  const Explanation map = explain("occlusion", subject, test::flat_picture(1, kSide, -1.0f));
  EXPECT_LT(means(map.map).inside, -0.1);
}

TEST(ModelFree, BothApplyToEverything) {
  const std::vector<std::string> methods = methods_for(test::RegionSubject(kRegion));
  EXPECT_NE(std::find(methods.begin(), methods.end(), "rise"), methods.end());
  EXPECT_NE(std::find(methods.begin(), methods.end(), "occlusion"), methods.end());
}

}  // namespace
}  // namespace vit
