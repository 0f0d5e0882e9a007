#include "vit/explain/overlay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "vit/explain/figure_text.h"
#include "vit/image/color_map.h"

namespace vit {
namespace {

using test::pixels_of;
using testing::HasSubstr;

Image plain(int64_t height, int64_t width, uint8_t grey) {
  Image image(height, width);
  for (uint8_t& value : image.pixels.span<uint8_t>()) value = grey;
  return image;
}

Color at(const Image& image, int64_t y, int64_t x) {
  const uint8_t* pixel = image.row(y) + 3 * x;
  return {pixel[0], pixel[1], pixel[2]};
}

void expect_near(const Color& found, const Color& expected, const char* what) {
  EXPECT_NEAR(found.r, expected.r, 2) << what;
  EXPECT_NEAR(found.g, expected.g, 2) << what;
  EXPECT_NEAR(found.b, expected.b, 2) << what;
}

TEST(MapScale, FollowsTheNumbers) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const MapScale plain_scale = scale_of(Tensor::from<float>({0.5f, nan, 2.0f}, {1, 3}));
  EXPECT_EQ(plain_scale.min, 0.5);
  EXPECT_EQ(plain_scale.max, 2.0);
  EXPECT_EQ(plain_scale.color(2.0), viridis(1.0));
  EXPECT_EQ(plain_scale.color(nan), viridis(nan));
  EXPECT_EQ(scale_of(Tensor::from<float>({0.001f, 2.0f}, {1, 2})).min, 0.0) << "nearly zero is zero";
  const MapScale with_sign = scale_of(Tensor::from<float>({-3.0f, 1.0f}, {1, 2}), true);
  EXPECT_EQ(with_sign.min, -3.0);
  EXPECT_EQ(with_sign.max, 3.0);
  EXPECT_EQ(with_sign.color(0.0), diverging(0.0));
  EXPECT_EQ(with_sign.color(-3.0), diverging(-1.0));
}

TEST(MapScale, OneValueHasAScale) {
  for (const float value : {0.0f, 1.0f, -4.0f, 1e-20f})
    for (const bool is_signed : {false, true}) {
      const MapScale scale = scale_of(Tensor::from<float>({value, value}, {1, 2}), is_signed);
      EXPECT_LT(scale.min, scale.max) << value;
      EXPECT_TRUE(std::isfinite(scale.share(value))) << value;
    }
  EXPECT_THAT(test::failure([] { scale_of(Tensor::from<float>({NAN}, {1, 1})); }), HasSubstr("no finite number"));
  EXPECT_THAT(test::failure([] { scale_of(Tensor::empty({1}, DType::u8)); }), HasSubstr("u8"));
}

TEST(ColorOverlay, MixesTheColoursOfTheCells) {
  const Image picture = plain(4, 8, 100);
  const Tensor map = Tensor::from<float>({0.0f, 1.0f}, {1, 2});
  const MapScale scale{.min = 0.0, .max = 1.0};
  const Image full = color_overlay(picture, map, {}, scale, 1.0, false);
  expect_near(at(full, 0, 0), viridis(0.0), "left");
  expect_near(at(full, 3, 3), viridis(0.0), "left of the middle");
  expect_near(at(full, 3, 4), viridis(1.0), "right of the middle");
  const Image half = color_overlay(picture, map, {}, scale, 0.5, false);
  const Color yellow = viridis(1.0);
  EXPECT_NEAR(at(half, 0, 7).r, 0.5 * (100 + yellow.r), 1);
  EXPECT_EQ(pixels_of(color_overlay(picture, map, {}, scale, 0.0)), pixels_of(picture));
  // Smooth: between the cells' centres the value changes in proportion; pixel 3's centre is at 3.5 of 2 to 6.
  const Image smooth = color_overlay(picture, map, {}, scale, 1.0, true);
  expect_near(at(smooth, 0, 3), viridis(1.5 / 4.0), "between");
}

TEST(ColorOverlay, OutsideOfTheMapThePictureStays) {
  // The map lies over the middle half of the picture.
  const Image picture = plain(4, 8, 77);
  const Tensor map = Tensor::full({1, 1}, 1.0f);
  const CellWindow window{.top = 0.0, .left = -0.5, .rows = 1.0, .columns = 2.0};
  for (const bool smooth : {false, true}) {
    const Image drawn = color_overlay(picture, map, window, {}, 1.0, smooth);
    EXPECT_EQ(at(drawn, 0, 1), (Color{77, 77, 77}));
    EXPECT_EQ(at(drawn, 0, 6), (Color{77, 77, 77}));
    expect_near(at(drawn, 0, 2), viridis(1.0), "inside");
    expect_near(at(drawn, 3, 5), viridis(1.0), "inside");
  }
}

TEST(ColorOverlay, WhatIsNoNumberIsGrey) {
  const Tensor map = Tensor::from<float>({NAN}, {1, 1});
  EXPECT_EQ(at(color_overlay(plain(2, 2, 0), map, {}, {}, 1.0), 0, 0), viridis(NAN));
}

TEST(DrawOverlay, SmallPicturesAreEnlargedAndLargeOnesScaledDown) {
  const Tensor map = Tensor::full({2, 2}, 0.5f);
  const Image small = draw_overlay(plain(32, 32, 0), map), large = draw_overlay(plain(2000, 1000, 0), map);
  EXPECT_GE(small.height(), 480);
  EXPECT_LT(small.height(), 560);
  EXPECT_LT(large.height(), 560);
  EXPECT_LT(draw_overlay(plain(700, 700, 0), map).height(), 800) << "as it is";
  EXPECT_GE(draw_overlay(plain(700, 700, 0), map).height(), 700);
  // One column of pixels still has room for its text.
  EXPECT_GE(draw_overlay(plain(500, 1, 0), map, {}, {.title = "narrow"}).width(), 400);
}

TEST(DrawOverlay, LegendHasTheColoursOfTheScale) {
  const Image picture = plain(240, 240, 0);
  const Tensor map = Tensor::from<float>({-1.0f, 0.5f}, {1, 2});
  OverlayOptions options{.is_signed = true, .opacity = 0.0, .side = 240};
  const Image drawn = draw_overlay(picture, map, {}, options);
  // Margin 12, picture 240, gap 12, then the bar; red above, blue below.
  for (const int64_t line : {2, 60, 120, 180, 237})
    expect_near(at(drawn, 12 + line, 271), diverging(1.0 - (static_cast<double>(line) + 0.5) / 120.0), "legend");
}

TEST(DrawOverlay, TextTakesRoomOfItsOwn) {
  const Image picture = plain(240, 240, 0);
  const Tensor map = Tensor::full({2, 2}, 0.5f);
  const Image bare = draw_overlay(picture, map, {}, {.side = 240});
  const Image titled = draw_overlay(picture, map, {}, {.title = "Grad-CAM: cat", .side = 240});
  const Image lines = draw_overlay(picture, map, {}, {.lines = {"deletion 0.1", "insertion 0.9"}, .side = 240});
  EXPECT_GT(titled.height(), bare.height());
  EXPECT_GT(lines.height(), bare.height() + 30);
  const Image both = draw_overlay(picture, map, {}, {.with_picture = true, .side = 240});
  EXPECT_GE(both.width(), 2 * 240 + 12);
  EXPECT_EQ(pixels_of(bare), pixels_of(draw_overlay(picture, map, {}, {.side = 240}))) << "the same picture again";
}

TEST(DrawOverlay, ErrorsSayWhatIsWrong) {
  const Image picture = plain(8, 8, 0);
  const Tensor map = Tensor::full({2, 2}, 0.5f);
  EXPECT_THAT(test::failure([&] { draw_overlay({}, map); }), HasSubstr("no picture"));
  EXPECT_THAT(test::failure([&] { draw_overlay(picture, Tensor()); }), HasSubstr("got nothing"));
  EXPECT_THAT(test::failure([&] { draw_overlay(picture, Tensor::zeros({4})); }), HasSubstr("[4]"));
  EXPECT_THAT(test::failure([&] { draw_overlay(picture, map, {}, {.opacity = 1.5}); }), HasSubstr("1.5"));
  EXPECT_THAT(test::failure([&] { draw_overlay(picture, map, {}, {.side = 5}); }), HasSubstr("64 to 4096"));
  EXPECT_THAT(test::failure([&] {
                draw_overlay(picture, map, {}, {.scale = MapScale{1.0, 1.0}});
              }),
              HasSubstr("in order"));
}

TEST(WrappedText, BreaksAtSpaces) {
  const TextStyle style{.height = 9.0f};
  const int64_t room = measure_text("one two", style).width;
  EXPECT_EQ(detail::wrapped_text({"one two three", "", "x"}, room + 2, style),
            (std::vector<std::string>{"one two", "three", "", "x"}));
  const std::vector<std::string> cut = detail::wrapped_text({"incomprehensibilities"}, room, style);
  ASSERT_EQ(cut.size(), 1u);
  EXPECT_TRUE(cut[0].ends_with("..")) << cut[0];
}

}  // namespace
}  // namespace vit
