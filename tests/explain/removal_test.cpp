#include "vit/explain/removal.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/explain/region_subject.h"
#include "tests/support/errors.h"
#include "vit/core/rng.h"
#include "vit/explain/variants.h"

namespace vit {
namespace {

using testing::HasSubstr;

constexpr int64_t kSide = 12;
const test::Region kRegion{.top = 2, .left = 4, .height = 4, .width = 6};

TEST(Removal, OrderIsThatOfTheValuesThenOfReading) {
  const RemovalOrder order(Tensor::from<float>({1, 3, 2, 3}, {2, 2}), 2, 2);
  EXPECT_EQ(order.units(), 4);
  const std::vector<int64_t> expected_ranks = {3, 0, 2, 1};
  for (int64_t pixel = 0; pixel < 4; ++pixel)
    for (int64_t count = 0; count <= 4; ++count) {
      const int64_t rank = expected_ranks[static_cast<size_t>(pixel)];
      EXPECT_EQ(order.among_first(pixel, count), rank < count) << pixel;
      EXPECT_EQ(order.among_last(pixel, count), rank >= 4 - count) << pixel;
    }
  EXPECT_EQ(order.units_of(0.5), 2);
}

TEST(Removal, SquaresGoAsOne) {
  const Tensor map = Tensor::zeros({5, 5});
  map.f32()[4 * 5 + 1] = 1.0f;
  const RemovalOrder order(map, 5, 5, 2);
  EXPECT_EQ(order.units(), 9);
  for (int64_t pixel = 0; pixel < 25; ++pixel)
    EXPECT_EQ(order.among_first(pixel, 1), pixel == 20 || pixel == 21) << pixel;
}

TEST(Removal, AreaIsThatOfTrapezoids) {
  EXPECT_DOUBLE_EQ(area_under({0.0, 0.5, 1.0}, {1.0, 0.5, 0.0}), 0.5);
  EXPECT_DOUBLE_EQ(area_under({0.0, 0.25, 1.0}, {1.0, 0.0, 1.0}), 0.5);
  EXPECT_THAT(test::failure([] { static_cast<void>(area_under({0.0}, {1.0})); }), HasSubstr("1 shares"));
}

/// The picture is 1 in the region and -1 elsewhere: its blur has less than 1 in the region.
RemovalCurves curves_of(const Tensor& map, int64_t batch_size = 8) {
  const test::RegionSubject subject(kRegion);
  const Tensor picture = test::region_map(kRegion, kSide, 1.0f, -1.0f).view({1, 1, kSide, kSide});
  const RemovalOrder order(map, kSide, kSide);
  return removal_curves(subject, picture, order, {.steps = 24, .batch_size = batch_size});
}

TEST(Removal, TheTrueMapBeatsARandomOneAndThatItsInverse) {
  Tensor noise = Tensor::empty({kSide, kSide});
  Rng rng(3);
  fill_uniform(noise, rng, 0.0f, 1.0f);
  const RemovalCurves right = curves_of(test::region_map(kRegion, kSide, 1.0f, 0.0f)), random = curves_of(noise),
                      wrong = curves_of(test::region_map(kRegion, kSide, 0.0f, 1.0f));
  EXPECT_LT(right.deletion.auc, random.deletion.auc - 0.1);
  EXPECT_LT(random.deletion.auc, wrong.deletion.auc - 0.1);
  EXPECT_GT(right.insertion.auc, random.insertion.auc + 0.1);
  EXPECT_GT(random.insertion.auc, wrong.insertion.auc + 0.1);
}

// The region is a sixth of the pixels: the score falls from 1 to 0 within the first 4 of 24 steps, in a line.
TEST(Removal, CurvesOfTheTrueMapAreLines) {
  const RemovalCurves curves = curves_of(test::region_map(kRegion, kSide, 1.0f, 0.0f));
  ASSERT_EQ(curves.deletion.scores.size(), 25u);
  for (size_t step = 0; step <= 24; ++step) {
    EXPECT_DOUBLE_EQ(curves.deletion.shares[step], static_cast<double>(step) / 24.0);
    EXPECT_NEAR(curves.deletion.scores[step], std::max(0.0, 1.0 - static_cast<double>(step) / 4.0), 1e-6);
  }
  EXPECT_NEAR(curves.deletion.auc, 0.5 * 4.0 / 24.0, 1e-6);
  EXPECT_NEAR(curves.insertion.scores.back(), 1.0, 1e-6);
  EXPECT_LT(curves.insertion.scores.front(), 0.9);
  EXPECT_NEAR(curves.insertion.scores[4], 1.0, 1e-6);
}

// A constant map removes rows from the top: on a flat picture the score is what is left of rows 2 to 5.
TEST(Removal, AConstantMapReadsFromTheTop) {
  const test::RegionSubject subject(kRegion);
  const RemovalOrder order(Tensor::zeros({3, 3}), kSide, kSide);
  const RemovalCurves curves = removal_curves(subject, test::flat_picture(3, kSide), order, {.steps = 12});
  EXPECT_NEAR(curves.deletion.auc, 4.0 / 12.0, 1e-6);
  for (size_t step = 0; step <= 12; ++step) {
    const double left = std::clamp(1.0 - (static_cast<double>(step) - 2.0) / 4.0, 0.0, 1.0);
    EXPECT_NEAR(curves.deletion.scores[step], left, 1e-6) << step;
  }
  EXPECT_NEAR(curves.insertion.auc, 1.0, 1e-5);  // the blur of a flat picture is the picture
}

TEST(Removal, BatchesChangeNothing) {
  const Tensor map = test::region_map(kRegion, kSide, 1.0f, 0.0f);
  EXPECT_EQ(curves_of(map, 1).deletion.scores, curves_of(map, 50).deletion.scores);
  EXPECT_EQ(curves_of(map, 7).insertion.scores, curves_of(map, 50).insertion.scores);
}

TEST(Removal, WantsSteps) {
  const test::RegionSubject subject(kRegion);
  const RemovalOrder order(Tensor::zeros({2, 2}), kSide, kSide);
  EXPECT_THAT(test::failure([&] {
                static_cast<void>(removal_curves(subject, test::flat_picture(1, kSide), order, {.steps = 0}));
              }),
              HasSubstr("at least 1 step"));
}

}  // namespace
}  // namespace vit
