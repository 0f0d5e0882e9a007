#include "vit/media/backoff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace vit::detail {
namespace {

TEST(Backoff, DoublesWithJitterUpToItsLimit) {
  Backoff backoff(0.5, 30.0, 7);
  for (int64_t retry = 0; retry < 200; ++retry) {
    const double whole = std::min(0.5 * std::pow(2.0, static_cast<double>(retry)), 30.0);
    const double delay = backoff.delay(retry);
    EXPECT_GE(delay, 0.5 * whole) << retry;
    EXPECT_LE(delay, whole) << retry;
  }
}

TEST(Backoff, TheSeedDecides) {
  Backoff a(1.0, 60.0, 1), again(1.0, 60.0, 1), b(1.0, 60.0, 2);
  bool differs = false;
  for (int64_t retry = 0; retry < 5; ++retry) {
    const double delay = a.delay(retry);
    EXPECT_EQ(delay, again.delay(retry));
    differs = differs || delay != b.delay(retry);
  }
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace vit::detail
