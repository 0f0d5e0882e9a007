#include "datasets/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"

namespace datasets {
namespace {

TEST(Calibration, IsTheWeightedGapOfTheBins) {
  Calibration calibration(4);
  for (const bool is_right : {true, false}) calibration.add(0.9, is_right);  // accuracy 0.5, confidence 0.85
  for (const bool is_right : {true, false}) calibration.add(0.8, is_right);
  calibration.add(0.3, false);
  EXPECT_EQ(calibration.count(), 5);
  EXPECT_NEAR(calibration.expected_error(), 0.8 * 0.35 + 0.2 * 0.3, 1e-12);
  EXPECT_NEAR(calibration.maximum_error(), 0.35, 1e-12);
  EXPECT_NEAR(calibration.confidence(), 3.7 / 5.0, 1e-12);
}

TEST(Calibration, GapsOfOppositeSignDoNotCancelBetweenBins) {
  Calibration calibration(2);
  calibration.add(0.25, true);
  calibration.add(0.75, false);
  EXPECT_DOUBLE_EQ(calibration.expected_error(), 0.75);
}

TEST(Calibration, BinsAreClosedAbove) {
  Calibration calibration(4);
  for (const double confidence : {0.0, 0.25, 0.250001, 0.5, 1.0}) calibration.add(confidence, true);
  const std::vector<Calibration::Bin> bins = calibration.bins();
  ASSERT_EQ(bins.size(), 4u);
  EXPECT_EQ(bins[0].count, 2) << "0 belongs to the first bin";
  EXPECT_EQ(bins[1].count, 2);
  EXPECT_EQ(bins[2].count, 0);
  EXPECT_TRUE(std::isnan(bins[2].accuracy));
  EXPECT_EQ(bins[3].count, 1);
  EXPECT_EQ(bins[3].from, 0.75);
  EXPECT_EQ(bins[3].to, 1.0);
}

TEST(Calibration, HasFifteenBinsUnlessTold) { EXPECT_EQ(Calibration().bins().size(), 15u); }

TEST(Calibration, NothingIsNoFigureAndNoProbabilityIsAnError) {
  Calibration calibration;
  EXPECT_TRUE(std::isnan(calibration.expected_error()));
  EXPECT_TRUE(std::isnan(calibration.maximum_error()));
  EXPECT_TRUE(std::isnan(calibration.confidence()));
  for (const double wrong : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()})
    vit::test::failure([&] { calibration.add(wrong, true); });
  EXPECT_EQ(calibration.count(), 0);
  vit::test::failure([] { Calibration(0); });
}

}  // namespace
}  // namespace datasets
