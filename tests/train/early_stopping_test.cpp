#include "vit/train/early_stopping.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"

namespace vit {
namespace {

TEST(EarlyStopping, WaitsForItsPatience) {
  EarlyStopping stopping({.patience = 2, .min_delta = 0.1});
  EXPECT_TRUE(stopping.update(0.5));
  EXPECT_TRUE(stopping.update(0.55)) << "the best, if no improvement";
  EXPECT_FALSE(stopping.should_stop());
  EXPECT_FALSE(stopping.update(0.2));
  EXPECT_TRUE(stopping.should_stop());
  EXPECT_TRUE(stopping.update(0.61));
  EXPECT_FALSE(stopping.should_stop());
  EXPECT_EQ(stopping.best(), 0.61);
}

TEST(EarlyStopping, LossesGoDownAndNaNIsNoGood) {
  EarlyStopping stopping({.patience = 2}, true);
  EXPECT_FALSE(stopping.update(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_TRUE(stopping.update(2.0));
  EXPECT_TRUE(stopping.update(1.0));
  EXPECT_FALSE(stopping.update(1.0));
  EXPECT_FALSE(stopping.should_stop());
  EXPECT_FALSE(stopping.update(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_TRUE(stopping.should_stop());
}

TEST(EarlyStopping, NeverWithoutPatienceAndRestores) {
  EarlyStopping stopping({}), other({});
  for (int i = 0; i < 100; ++i) stopping.update(1.0);
  EXPECT_FALSE(stopping.should_stop());
  other.restore(stopping.state());
  EXPECT_EQ(other.best(), 1.0);
  EXPECT_FALSE(other.update(0.9));
  EXPECT_THAT(test::usage_error([&] { other.restore(Tensor::zeros({3})); }), ::testing::HasSubstr("saved state"));
}

}  // namespace
}  // namespace vit
