#include "datasets/classification_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"

namespace datasets {
namespace {

using Logits = std::vector<float>;

TEST(ClassificationReport, CountsByTheDataAndByTheModel) {
  // The data's classes are the model's 3, 0 and 1 of 4.
  ClassificationReport report({3, 0, 1}, 4);
  report.add(Logits{0, 0, 0, 2}.data(), 0);
  report.add(Logits{0, 0, 2, 1}.data(), 0);
  report.add(Logits{5, 5, 0, 0}.data(), 1);
  EXPECT_EQ(report.overall().count(), 3);
  EXPECT_DOUBLE_EQ(report.overall().top1(), 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(report.of_label(0).top1(), 0.5);
  EXPECT_DOUBLE_EQ(report.of_label(1).top1(), 1.0) << "of equal logits the first";
  EXPECT_EQ(report.of_label(2).count(), 0);
  EXPECT_EQ(report.confusion().count(3, 3), 1);
  EXPECT_EQ(report.confusion().count(3, 2), 1);
  EXPECT_EQ(report.confusion().count(0, 0), 1);
  EXPECT_DOUBLE_EQ(report.confusion().recall(3), report.of_label(0).top1());
  EXPECT_DOUBLE_EQ(report.balanced_top1(), 0.75) << "the class without pictures is left out";
  EXPECT_DOUBLE_EQ(report.macro_f1(), (2.0 / 3.0 + 1.0) / 2.0);
}

TEST(ClassificationReport, ConfidenceIsTheLargestProbability) {
  ClassificationReport report({0, 1}, 2);
  report.add(Logits{std::log(3.0f), 0.0f}.data(), 0);
  EXPECT_NEAR(report.calibration().confidence(), 0.75, 1e-6);
  EXPECT_NEAR(report.calibration().expected_error(), 0.25, 1e-6);
  report.add(Logits{3e38f, -3e38f}.data(), 1);
  EXPECT_DOUBLE_EQ(report.calibration().maximum_error(), 1.0) << "certain and wrong";
}

TEST(ClassificationReport, NothingIsNoFigure) {
  const ClassificationReport report({0}, 1);
  EXPECT_TRUE(std::isnan(report.balanced_top1()));
  EXPECT_TRUE(std::isnan(report.macro_f1()));
}

TEST(ClassificationReport, RefusesWhatDoesNotFit) {
  vit::test::failure([] { ClassificationReport({2}, 2); });
  ClassificationReport report({1}, 2);
  const Logits logits = {0, 0}, bad = {0, std::numeric_limits<float>::quiet_NaN()};
  vit::test::failure([&] { report.add(logits.data(), 1); });
  vit::test::failure([&] { report.add(logits.data(), -1); });
  EXPECT_THAT(vit::test::failure([&] { report.add(bad.data(), 0); }), testing::HasSubstr("not finite"));
  vit::test::failure([&] { report.of_label(1); });
  EXPECT_EQ(report.overall().count(), 0);
}

}  // namespace
}  // namespace datasets
