#include "vit/image/color_map.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace vit {
namespace {

using Lab = std::array<double, 3>;

/// sRGB -> CIELAB under D65 by the definitions (IEC 61966-2-1; CIE 15:2004).
Lab lab_of(const Color& color) {
  const auto light = [](uint8_t byte) {
    const double value = byte / 255.0;
    return value <= 0.04045 ? value / 12.92 : std::pow((value + 0.055) / 1.055, 2.4);
  };
  const auto f = [](double t) { return t > 216.0 / 24389.0 ? std::cbrt(t) : (24389.0 / 27.0 * t + 16.0) / 116.0; };
  const double r = light(color.r), g = light(color.g), b = light(color.b);
  const double x = f((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047),
               y = f(0.2126729 * r + 0.7151522 * g + 0.0721750 * b),
               z = f((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
  return {116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)};
}

double distance(const Lab& a, const Lab& b) { return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]); }

TEST(ColorMap, DivergingStepsAreEqualInLab) {
  // From the middle to an end: 54 in lightness and 54 in chroma. Rounding to bytes moves a colour by up to 1 or so.
  constexpr int kSteps = 8;
  const double expected = std::hypot(54.0, 54.0) / kSteps;
  for (int i = -kSteps; i < kSteps; ++i) {
    const double step = distance(lab_of(diverging(i / double{kSteps})), lab_of(diverging((i + 1) / double{kSteps})));
    EXPECT_NEAR(step, expected, 0.12 * expected) << i;
  }
}

TEST(ColorMap, DivergingSidesMirrorEachOther) {
  for (int i = 0; i <= 16; ++i) {
    const Lab below = lab_of(diverging(-i / 16.0)), above = lab_of(diverging(i / 16.0));
    EXPECT_NEAR(below[0], above[0], 1.0) << i;
    EXPECT_NEAR(std::hypot(below[1], below[2]), std::hypot(above[1], above[2]), 2.0) << i;
  }
  const Color middle = diverging(0.0), low = diverging(-1.0), high = diverging(1.0);
  EXPECT_NEAR(middle.r, middle.g, 1);
  EXPECT_NEAR(middle.g, middle.b, 1);
  EXPECT_GT(middle.r, 220);
  EXPECT_GT(low.b, low.r + 80);
  EXPECT_GT(high.r, high.b + 80);
}

TEST(ColorMap, DivergingBeyondItsEnds) {
  EXPECT_EQ(diverging(-7.0), diverging(-1.0));
  EXPECT_EQ(diverging(std::numeric_limits<double>::infinity()), diverging(1.0));
  EXPECT_EQ(diverging(std::nan("")), (Color{160, 160, 160}));
}

}  // namespace
}  // namespace vit
