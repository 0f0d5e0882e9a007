// Coverage is area: exact for rectangles, converging for circles, additive for holes and neighbours.
#include "vit/image/mask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "tests/support/errors.h"

namespace vit {
namespace {

constexpr PixelRect kClip{0, 0, 40, 30};

double area(const Mask& mask) {
  return std::accumulate(mask.values.begin(), mask.values.end(), 0.0,
                         [](double sum, uint8_t value) { return sum + value; }) /
         255.0;
}

TEST(Mask, RectanglesCoverTheirArea) {
  const Mask mask = rasterize({rectangle_path(2.25f, 3.5f, 7.5f, 9.75f)}, kClip);
  EXPECT_EQ(mask.at(4, 5), 255);
  EXPECT_EQ(mask.at(2, 5), 191);  // three quarters
  EXPECT_EQ(mask.at(7, 5), 128);  // a half
  EXPECT_EQ(mask.at(7, 3), 64);   // a quarter
  EXPECT_EQ(mask.at(4, 9), 191);
  EXPECT_EQ(mask.at(1, 5), 0);
  EXPECT_EQ(mask.at(8, 5), 0);
  EXPECT_EQ(mask.rect.x0, 2);
  EXPECT_EQ(mask.rect.y1, 10);
}

TEST(Mask, SlantedEdgesCoverTheirArea) {
  const Path triangle{{1.3f, 2.1f}, {20.7f, 5.9f}, {6.2f, 18.4f}};
  const double exact = 0.5 * std::abs((20.7 - 1.3) * (18.4 - 2.1) - (6.2 - 1.3) * (5.9 - 2.1));
  EXPECT_NEAR(area(rasterize({triangle}, kClip)), exact, 0.15);
  EXPECT_NEAR(area(rasterize({reversed(triangle)}, kClip)), exact, 0.15);  // the direction alone does not matter
  // The polygon lies inside the ellipse: 0.7 % of the area at this size.
  EXPECT_NEAR(area(rasterize({ellipse_path({15.3f, 14.8f}, 10.0f, 6.0f, 0.7f)}, kClip)), 60.0 * std::numbers::pi, 1.5);
}

TEST(Mask, RingsOfOneDirectionJoinAndTheOtherCutsHoles) {
  const Path outer = rectangle_path(2, 2, 12, 12), inner = rectangle_path(4, 4, 8, 8);
  EXPECT_NEAR(area(rasterize({outer, inner}, kClip)), 100.0, 0.01);
  EXPECT_NEAR(area(rasterize({outer, reversed(inner)}, kClip)), 84.0, 0.01);
  // Two halves that meet inside a pixel leave no seam.
  EXPECT_NEAR(area(rasterize({rectangle_path(2, 2, 5.5f, 6), rectangle_path(5.5f, 2, 9, 6)}, kClip)), 28.0, 0.01);
}

TEST(Mask, WhatIsOutsideIsCutOff) {
  EXPECT_TRUE(rasterize({rectangle_path(50, 2, 60, 9)}, kClip).rect.empty());
  EXPECT_TRUE(rasterize({}, kClip).rect.empty());
  const Rings circle{ellipse_path({0.0f, 0.0f}, 10.0f, 10.0f)};
  const Mask cut = rasterize(circle, kClip), whole = rasterize(circle, {-20, -20, 20, 20});
  EXPECT_NEAR(area(cut), 25.0 * std::numbers::pi, 0.6);
  for (int64_t y = 0; y < 12; ++y)
    for (int64_t x = 0; x < 12; ++x) ASSERT_NEAR(cut.at(x, y), whole.at(x, y), 1) << x << ", " << y;
}

TEST(Mask, ClippingOnEverySideKeepsTheRest) {
  const Rings star = stroke_rings({{-5, -7}, {45, 11}, {22, 40}, {3, 12}, {38, -4}}, 3.3f, true);
  const Mask cut = rasterize(star, kClip), whole = rasterize(star, {-50, -50, 90, 90});
  for (int64_t y = kClip.y0; y < kClip.y1; ++y)
    for (int64_t x = kClip.x0; x < kClip.x1; ++x) ASSERT_NEAR(cut.at(x, y), whole.at(x, y), 1) << x << ", " << y;
}

TEST(Mask, StrokesHaveTheirWidth) {
  EXPECT_NEAR(area(rasterize(stroke_rings({{5, 10.5f}, {25, 10.5f}}, 1.0f), kClip)), 20.0, 0.1);
  EXPECT_NEAR(area(rasterize(stroke_rings({{5, 5}, {25, 20}}, 2.0f), kClip)), 50.0 + std::numbers::pi, 0.8);
}

TEST(Mask, NonsenseIsRefused) {
  EXPECT_THAT(test::failure([] {
                rasterize({{{0, 0}, {std::nanf(""), 1}, {3, 3}}}, kClip);
              }),
              testing::HasSubstr("point"));
  EXPECT_THAT(test::failure([] { rasterize({{{0, 0}, {3e8f, 1}, {3, 3}}}, kClip); }), testing::HasSubstr("within"));
  EXPECT_THAT(test::failure([] { stroke_rings({}, 1.0f); }), testing::HasSubstr("without points"));
  EXPECT_THAT(test::failure([] { stroke_rings({{0, 0}}, 0.0f); }), testing::HasSubstr("positive width"));
  EXPECT_THAT(test::failure([] { ellipse_path({0, 0}, -1.0f, 2.0f); }), testing::HasSubstr("positive radii"));
  EXPECT_THAT(test::failure([] { Affine{1, 2, 2, 4}.inverse(); }), testing::HasSubstr("inverted"));
}

}  // namespace
}  // namespace vit
