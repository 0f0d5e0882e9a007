#include "datasets/transform_crop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/datasets/pictures.h"
#include "tests/support/errors.h"

namespace datasets {
namespace {

using test::bytes_of;
using test::copy_of;
using test::picture;

TEST(RandomResizedCrop, StaysWithinItsRanges) {
  const vit::Extent source = {375, 500};
  vit::Rng rng(1);
  double smallest = 1, largest = 0, narrowest = 9, widest = 0;
  for (int i = 0; i < 3000; ++i) {
    const vit::Window w = random_resized_crop(source, {0.08, 1.0}, {3.0 / 4, 4.0 / 3}, rng);
    ASSERT_GE(w.top, 0);
    ASSERT_GE(w.left, 0);
    ASSERT_LE(w.top + w.height, source.height);
    ASSERT_LE(w.left + w.width, source.width);
    const double share = static_cast<double>(w.height * w.width) / (375 * 500);
    const double ratio = static_cast<double>(w.width) / static_cast<double>(w.height);
    smallest = std::min(smallest, share);
    largest = std::max(largest, share);
    narrowest = std::min(narrowest, ratio);
    widest = std::max(widest, ratio);
  }
  // Sides are rounded to pixels: 0.5 of about 100.
  EXPECT_NEAR(smallest, 0.08, 0.005);
  EXPECT_GT(largest, 0.95);
  EXPECT_NEAR(narrowest, 0.75, 0.01);
  EXPECT_NEAR(widest, 4.0 / 3, 0.02);
}

TEST(RandomResizedCrop, FallsBackToTheMiddleOfLongPictures) {
  vit::Rng rng(1);
  const vit::Window wide = random_resized_crop({10, 1000}, {0.9, 1.0}, {3.0 / 4, 4.0 / 3}, rng);
  EXPECT_EQ(wide.height, 10);
  EXPECT_EQ(wide.width, 13);
  EXPECT_EQ(wide.left, (1000 - 13) / 2);
  const vit::Window tall = random_resized_crop({1000, 9}, {0.9, 1.0}, {3.0 / 4, 4.0 / 3}, rng);
  EXPECT_EQ(tall.width, 9);
  EXPECT_EQ(tall.height, 12);
  EXPECT_EQ(tall.top, 494);
  const vit::Window one = random_resized_crop({1, 1}, {0.08, 0.1}, {3.0 / 4, 4.0 / 3}, rng);
  EXPECT_EQ(one.height * one.width, 1);
}

TEST(RandomKeepRatio, CoversTheTargetUpToItsRanges) {
  vit::Rng rng(1);
  int unchanged = 0;
  for (int i = 0; i < 2000; ++i) {
    const vit::Extent e = random_keep_ratio({300, 400}, {150, 150}, {0.8, 1.0}, {0.9, 1 / 0.9}, rng);
    EXPECT_GE(e.height, 142) << "150 / sqrt(1 / 0.9)";
    EXPECT_LE(e.height, 177) << "150 / sqrt(0.8) * sqrt(1 / 0.9)";
    unchanged += e == vit::Extent{150, 200} ? 1 : 0;
  }
  EXPECT_NEAR(unchanged / 2000.0, 0.25, 0.05) << "neither scaled nor stretched";
}

TEST(Crop, CopiesPadsAndMirrors) {
  const vit::Image image = picture(4, 5);
  const vit::Image inner = crop(image, {1, 2, 2, 3});
  for (int64_t y = 0; y < 2; ++y)
    for (int64_t i = 0; i < 9; ++i) EXPECT_EQ(inner.row(y)[i], image.row(y + 1)[6 + i]);
  EXPECT_THAT(vit::test::failure([&] { crop(image, {1, 3, 2, 3}); }), testing::HasSubstr("reaches outside"));

  const vit::Image padded = crop_padded(image, {-1, -2, 6, 9});
  EXPECT_THAT(std::vector<int>(padded.row(0), padded.row(0) + 27), testing::Each(0));
  EXPECT_THAT(std::vector<int>(padded.row(1), padded.row(1) + 6), testing::Each(0));
  EXPECT_EQ(bytes_of(crop(padded, {1, 2, 4, 5})), bytes_of(image));
  EXPECT_THAT(bytes_of(crop_padded(image, {10, 0, 2, 2})), testing::Each(0));
  EXPECT_THAT(bytes_of(crop_padded(image, {0, -7, 2, 2})), testing::Each(0));

  // numpy.pad(..., "reflect"): 2 1 | 0 1 2 3 4 | 3 2 1 0 1
  const vit::Image mirrored = crop_reflected(image, {0, -2, 1, 12});
  const int columns[] = {2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0, 1};
  for (int64_t x = 0; x < 12; ++x) EXPECT_EQ(mirrored.row(0)[3 * x], image.row(0)[3 * columns[x]]);
  EXPECT_EQ(bytes_of(crop_reflected(picture(1, 1), {-1, -1, 3, 3})).size(), 27u);
}

TEST(Flip, SwapsSides) {
  for (const int64_t width : {4, 5}) {
    const vit::Image image = picture(3, width);
    vit::Image flipped = copy_of(image);
    flip_horizontal(flipped);
    for (int64_t y = 0; y < 3; ++y)
      for (int64_t x = 0; x < width; ++x)
        for (int64_t c = 0; c < 3; ++c) EXPECT_EQ(flipped.row(y)[3 * x + c], image.row(y)[3 * (width - 1 - x) + c]);
    flip_vertical(flipped);
    flip_horizontal(flipped);
    EXPECT_EQ(flipped.row(0)[1], image.row(2)[1]);
    flip_vertical(flipped);
    EXPECT_EQ(bytes_of(flipped), bytes_of(image));
  }
}

}  // namespace
}  // namespace datasets
