#include "vit/image/canvas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "vit/image/blur.h"

namespace vit {
namespace {

using test::pixels_of;

Color at(const Canvas& canvas, int64_t x, int64_t y) {
  const uint8_t* pixel = canvas.image().row(y) + 3 * x;
  return {pixel[0], pixel[1], pixel[2]};
}

/// Pixels that differ from a colour.
PixelRect drawn_rect(const Canvas& canvas, Color background) {
  PixelRect rect{canvas.width(), canvas.height(), 0, 0};
  for (int64_t y = 0; y < canvas.height(); ++y)
    for (int64_t x = 0; x < canvas.width(); ++x)
      if (!(at(canvas, x, y) == background))
        rect = {std::min(rect.x0, x), std::min(rect.y0, y), std::max(rect.x1, x + 1), std::max(rect.y1, y + 1)};
  return rect;
}

TEST(Canvas, FillsMixesAndClips) {
  Canvas canvas(20, 30, {10, 20, 30});
  canvas.rectangle(5, 5, 10, 10, {200, 100, 50});
  EXPECT_EQ(at(canvas, 7, 7), (Color{200, 100, 50}));
  EXPECT_EQ(at(canvas, 4, 7), (Color{10, 20, 30}));
  canvas.rectangle(5, 5, 10, 10, {0, 0, 0}, 0.5f);
  EXPECT_EQ(at(canvas, 7, 7), (Color{100, 50, 25}));
  canvas.circle({30, 20}, 6, kWhite);
  EXPECT_EQ(at(canvas, 29, 19), kWhite);
  canvas.rectangle(-100, -100, 1000, 1000, kBlack);
  EXPECT_EQ(at(canvas, 0, 0), kBlack);
  EXPECT_EQ(at(canvas, 29, 19), kBlack);
  EXPECT_THAT(test::failure([&] { canvas.rectangle(0, 0, 1, 1, kBlack, 1.5f); }), testing::HasSubstr("alpha"));
}

TEST(Canvas, OutlinesStayInside) {
  Canvas canvas(20, 20, kWhite);
  canvas.outline(3, 4, 12, 15, kBlack, 2);
  EXPECT_EQ(at(canvas, 3, 4), kBlack);
  EXPECT_EQ(at(canvas, 4, 8), kBlack);
  EXPECT_EQ(at(canvas, 5, 8), kWhite);
  EXPECT_EQ(at(canvas, 12, 8), kWhite);
  const PixelRect rect = drawn_rect(canvas, kWhite);
  EXPECT_EQ(rect.x0, 3);
  EXPECT_EQ(rect.y1, 15);
}

TEST(Canvas, BlitCopiesAndClips) {
  const Image picture = test::pattern(5, 6);
  Canvas canvas(8, 8, kWhite);
  canvas.blit(picture, 4, -2);
  EXPECT_EQ(at(canvas, 4, 0), (Color{picture.row(2)[0], picture.row(2)[1], picture.row(2)[2]}));
  EXPECT_EQ(at(canvas, 3, 0), kWhite);
  EXPECT_EQ(at(canvas, 4, 3), kWhite);
}

TEST(Canvas, TexturesRepeatAndTurn) {
  const Image texture = test::picture(1, 2, {255, 0, 0, 0, 0, 255});
  Canvas canvas(8, 8, kWhite);
  canvas.fill_texture({rectangle_path(0, 0, 8, 8)}, texture, Affine{});
  EXPECT_EQ(at(canvas, 0, 3), (Color{255, 0, 0}));
  EXPECT_EQ(at(canvas, 1, 3), (Color{0, 0, 255}));
  EXPECT_EQ(at(canvas, 6, 7), (Color{255, 0, 0}));
  canvas.fill_texture({rectangle_path(0, 0, 8, 8)}, texture, Affine{0, 1, 1, 0, 0, 0});  // x and y change places
  EXPECT_EQ(at(canvas, 3, 0), (Color{255, 0, 0}));
  EXPECT_EQ(at(canvas, 3, 1), (Color{0, 0, 255}));
  EXPECT_THAT(test::failure([&] {
                canvas.fill_texture({}, texture, Affine{0, 0, 0, 0});
              }),
              testing::HasSubstr("inverted"));
}

TEST(Canvas, TextLiesWhereItsMeasureSays) {
  for (const bool upward : {false, true}) {
    Canvas canvas(200, 200, kWhite);
    TextStyle style{.height = 14, .horizontal = HorizontalAlign::center, .vertical = VerticalAlign::middle};
    style.upward = upward;
    canvas.text({100, 100}, "Hello 42", style);
    const TextSize size = measure_text("Hello 42", style);
    const PixelRect rect = drawn_rect(canvas, kWhite);
    const int64_t along = upward ? rect.height() : rect.width(), across = upward ? rect.width() : rect.height();
    EXPECT_NEAR(static_cast<double>(along), static_cast<double>(size.width), 5.0);
    EXPECT_NEAR(static_cast<double>(across), 14.0, 4.0);
    EXPECT_NEAR(0.5 * static_cast<double>(rect.x0 + rect.x1), 100.0, 3.0);
    EXPECT_NEAR(0.5 * static_cast<double>(rect.y0 + rect.y1), 100.0, 3.0);
  }
}

TEST(Canvas, TextOfEveryKindIsDrawn) {
  Canvas canvas(30, 60, kWhite);
  canvas.text({2, 20}, "");
  EXPECT_TRUE(drawn_rect(canvas, kWhite).empty());
  EXPECT_EQ(measure_text("a\xC3\xA9"
                         "b")
                .width,
            measure_text("a?b").width);
  canvas.text({-20, 20}, "\xE2\x98\x83 cut off on both sides \x01", {.height = 12, .bold = true});
  EXPECT_FALSE(drawn_rect(canvas, kWhite).empty());
  EXPECT_THAT(test::failure([&] { canvas.text({0, 0}, "x", {.height = 0}); }), testing::HasSubstr("height"));
  const std::string fitted = fit_text("a rather long caption of a picture", 80);
  EXPECT_LE(measure_text(fitted).width, 80);
  EXPECT_THAT(fitted, testing::AllOf(testing::StartsWith("a r"), testing::EndsWith("..")));
  EXPECT_EQ(fit_text("short", 80), "short");
}

TEST(Blur, KeepsFlatPicturesAndMeans) {
  Canvas flat(9, 11, {0, 128, 255});
  flat.blur(2.0f);
  EXPECT_EQ(at(flat, 0, 0), (Color{0, 128, 255}));
  EXPECT_EQ(at(flat, 10, 8), (Color{0, 128, 255}));
  Canvas dot(21, 21, kBlack);
  dot.rectangle(8, 8, 13, 13, kWhite);
  dot.blur(1.5f);
  double sum = 0.0;
  for (uint8_t value : pixels_of(dot.image())) sum += value;
  EXPECT_NEAR(sum / 3.0 / 255.0, 25.0, 0.5);
  EXPECT_NEAR(at(dot, 10, 7).r, at(dot, 7, 10).r, 1);  // rows are rounded before columns
  EXPECT_EQ(at(dot, 10, 7), at(dot, 10, 13));
  EXPECT_LT(at(dot, 10, 7).r, at(dot, 10, 9).r);
  EXPECT_THAT(test::failure([&] { dot.blur(-1.0f); }), testing::HasSubstr("sigma"));
}

TEST(Blur, TinyPicturesAreNoProblem) {
  Canvas one(1, 1, {7, 8, 9});
  one.blur(10.0f);
  EXPECT_EQ(at(one, 0, 0), (Color{7, 8, 9}));
  const Mask mask = blurred(rasterize({rectangle_path(3, 3, 6, 6)}, {0, 0, 9, 9}), 1.0f);
  EXPECT_GT(mask.at(2, 4), 0);
  EXPECT_EQ(mask.at(2, 4), mask.at(6, 4));
}

}  // namespace
}  // namespace vit
