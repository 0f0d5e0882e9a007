// The parts that verbs share, without a process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "apps/help.h"
#include "apps/measure.h"
#include "apps/output.h"
#include "apps/progress.h"

namespace apps {
namespace {

TEST(AppsOutput, QuotesCsvFields) {
  EXPECT_EQ(csv_field("plain"), "plain");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("say \"hi\"\n"), "\"say \"\"hi\"\"\n\"");
  EXPECT_EQ(csv_field(nullptr), "");
  EXPECT_EQ(csv_field(0.5), "0.5");
  EXPECT_EQ(csv_field({1, 2}), "\"[1,2]\"");
}

TEST(AppsOutput, JsonLinesKeepTheOrderAndAreUtf8) {
  EXPECT_EQ(json_line({{"b", 1}, {"a", "x\ny"}}), "{\"b\":1,\"a\":\"x\\ny\"}");
  EXPECT_EQ(json_line("\xff"), "\"\xEF\xBF\xBD\"");
  EXPECT_EQ(json_line(std::nan("")), "null");
}

TEST(AppsHelp, WrapsAtTheWidthAndKeepsLongWords) {
  EXPECT_EQ(wrapped("one two three", 0, 8), "one two\nthree");
  EXPECT_EQ(wrapped("one two three", 4, 12), "one two\n    three");
  EXPECT_EQ(wrapped("abcdefghijkl b", 2, 6), "abcdefghijkl\n  b");
  EXPECT_EQ(wrapped("", 2, 6), "");
}

TEST(AppsProgress, LineHasRateAndEta) {
  EXPECT_EQ(progress_line(120, 0, 4.0, "images"), "120 images, 30.0/s");
  EXPECT_EQ(progress_line(50, 200, 10.0, "images"), "[######..................] 50/200 images, 5.0/s, 0:30 left");
  EXPECT_THAT(progress_line(1, 100001, 1.0, "images"), testing::EndsWith(", 27:46:40 left"));
  EXPECT_THAT(progress_line(0, 10, 2.0, "images"), testing::EndsWith("? left"));
  EXPECT_LE(progress_line(999999999, 1000000000, 1e5, "images").size(), 79u);
}

TEST(AppsMeasure, MedianIsTheMiddle) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_TRUE(std::isnan(median({})));
}

TEST(AppsMeasure, PeakIsAPlausibleRate) {
  const PeakMeter meter(0.005);
  const double rate = meter.sample();
  EXPECT_GT(rate, 1e8);
  EXPECT_LT(rate, 1e15);
}

TEST(AppsMeasure, CostsAddUpByOp) {
  OpCosts costs;
  costs.add_cost("blocks.0", "linear", 10.0, 1.0);
  costs.add_cost("blocks.1", "linear", 5.0, 1.0);
  costs.add_cost("", "attention", 2.0, 1.0);
  EXPECT_EQ(costs.flops_of("linear"), 15.0);
  EXPECT_EQ(costs.flops_of("softmax"), 0.0);
  EXPECT_EQ(costs.flops(), 17.0);
}

}  // namespace
}  // namespace apps
