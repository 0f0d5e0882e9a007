#include "datasets/float_picture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/datasets/pictures.h"
#include "tests/support/tolerance.h"

namespace datasets {
namespace {

double sum_of(const FloatPicture& picture) {
  return std::accumulate(picture.values.begin(), picture.values.end(), 0.0);
}

/// One bright pixel in the middle of [side, side, 1].
FloatPicture point(int64_t side) {
  FloatPicture picture(side, side, 1);
  picture.row(side / 2)[side / 2] = 1.0f;
  return picture;
}

TEST(FloatPicture, BytesComeBack) {
  const vit::Image image = test::picture(9, 31);
  EXPECT_EQ(test::bytes_of(image_of(floats_of(image))), test::bytes_of(image));
  FloatPicture outside(1, 2, 3, -0.5f);
  outside.values[5] = 3.0f;
  EXPECT_EQ(test::bytes_of(image_of(outside)), (std::vector<int>{0, 0, 0, 0, 0, 255}));
}

TEST(FloatPicture, MirrorsIndicesAtItsEdges) {
  const auto all = [](Edge edge) {
    std::vector<int64_t> indices;
    for (int64_t i = -5; i < 8; ++i) indices.push_back(index_inside(i, 3, edge));
    return indices;
  };
  EXPECT_EQ(all(Edge::nearest), (std::vector<int64_t>{0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2}));
  EXPECT_EQ(all(Edge::reflect), (std::vector<int64_t>{1, 2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1}));
  EXPECT_EQ(all(Edge::reflect_101), (std::vector<int64_t>{1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1}));
  for (const Edge edge : {Edge::nearest, Edge::reflect, Edge::reflect_101}) EXPECT_EQ(index_inside(-7, 1, edge), 0);
}

TEST(FloatPicture, PadsAllSides) {
  FloatPicture picture(1, 2, 1);
  picture.values = {1.0f, 2.0f};
  const FloatPicture wide = padded(picture, 2, Edge::reflect);
  ASSERT_EQ(wide.height, 5);
  ASSERT_EQ(wide.width, 6);
  for (int64_t y = 0; y < 5; ++y)
    EXPECT_EQ(std::vector<float>(wide.row(y), wide.row(y) + 6), (std::vector<float>{2, 1, 1, 2, 2, 1})) << y;
}

TEST(FloatPicture, BlursAsItsDefinition) {
  constexpr double kSigma = 1.3;
  FloatPicture blurred = point(21);
  gaussian_blur(blurred, kSigma);
  double sum = 0.0;
  for (int i = -5; i <= 5; ++i) sum += std::exp(-0.5 * i * i / (kSigma * kSigma));
  for (int64_t y = 0; y < 21; ++y)
    for (int64_t x = 0; x < 21; ++x) {
      const auto dy = static_cast<double>(y - 10), dx = static_cast<double>(x - 10);
      const bool reached = std::abs(dy) <= 5 && std::abs(dx) <= 5;  // round(4 * 1.3)
      const double expected = std::exp(-0.5 * (dy * dy + dx * dx) / (kSigma * kSigma)) / (sum * sum);
      EXPECT_NEAR(blurred.row(y)[x], reached ? expected : 0.0, vit::test::rounding_tolerance(22, expected));
    }
  FloatPicture same = point(5);
  gaussian_blur(same, 0.0);
  EXPECT_EQ(same.values, point(5).values);
}

TEST(FloatPicture, MotionFollowsItsAngle) {
  const FloatPicture level = motion_blurred(point(31), 3, 2.0, 0.0);  // from the right: it drags to the left
  double sum = 0.0;
  for (int i = 0; i <= 6; ++i) sum += std::exp(-0.5 * i * i / 4.0);
  for (int64_t x = 0; x < 31; ++x) {
    const auto i = static_cast<double>(15 - x);
    const double expected = i >= 0 && i <= 6 ? std::exp(-0.5 * i * i / 4.0) / sum : 0.0;
    EXPECT_NEAR(level.row(15)[x], expected, vit::test::rounding_tolerance(10, 1.0)) << x;
  }
  const FloatPicture down = motion_blurred(point(31), 3, 2.0, 90.0);
  const FloatPicture diagonal = motion_blurred(point(31), 3, 2.0, 45.0);
  for (int64_t i = 0; i <= 6; ++i) {
    EXPECT_EQ(down.row(15 - i)[15], level.row(15)[15 - i]);
    const auto step = static_cast<int64_t>(std::ceil(static_cast<double>(i) * std::sqrt(0.5) - 0.5));
    EXPECT_GT(diagonal.row(15 - step)[15 - step], 0.0f);
  }
  EXPECT_NEAR(sum_of(diagonal), 1.0, vit::test::rounding_tolerance(20, 1.0));
}

TEST(FloatPicture, ZoomsIntoTheMiddle) {
  FloatPicture ramp(8, 8, 1);
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 8; ++x) ramp.row(y)[x] = static_cast<float>(x);
  const FloatPicture same = zoomed(ramp, 1.0);
  EXPECT_EQ(same.values, ramp.values);
  const FloatPicture nearer = zoomed(ramp, 2.0);  // columns 2 to 5 become eight
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 8; ++x)
      EXPECT_NEAR(nearer.row(y)[x], 2.0 + 3.0 * static_cast<double>(x) / 7.0, vit::test::rounding_tolerance(4, 8.0));
}

TEST(FloatPicture, PlasmaFillsItsRange) {
  vit::Rng rng(3);
  const FloatPicture clouds = plasma(32, 32, 2.0, rng);
  EXPECT_EQ(*std::min_element(clouds.values.begin(), clouds.values.end()), 0.0f);
  EXPECT_EQ(*std::max_element(clouds.values.begin(), clouds.values.end()), 1.0f);
  // Neighbours are alike, and the more so the faster detail decays.
  const auto roughness = [](double decay) {
    vit::Rng same(3);
    const FloatPicture field = plasma(64, 64, decay, same);
    double sum = 0.0;
    for (int64_t y = 0; y < 64; ++y)
      for (int64_t x = 1; x < 64; ++x) sum += std::abs(field.row(y)[x] - field.row(y)[x - 1]);
    return sum / (64.0 * 63.0);
  };
  EXPECT_LT(roughness(3.0), roughness(2.0));
  EXPECT_LT(roughness(2.0), roughness(1.4));
  EXPECT_LT(roughness(2.0), 0.1);
  EXPECT_EQ(plasma(5, 40, 2.0, rng).width, 40);
}

}  // namespace
}  // namespace datasets
