// Strips of frames: there and back, and what is no strip.
#include "vit/image/strip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/errors.h"

namespace vit {
namespace {

using testing::HasSubstr;

Image plain(int64_t height, int64_t width, uint8_t value) {
  Image image(height, width);
  std::memset(image.row(0), value, static_cast<size_t>(image.pixels.numel()));
  return image;
}

TEST(Strip, FramesLieBeneathOneAnother) {
  const Image strip = make_strip({plain(4, 6, 10), plain(4, 6, 20), plain(4, 6, 30)});
  EXPECT_EQ(strip.height(), 12);
  EXPECT_EQ(strip.width(), 6);
  for (int64_t t = 0; t < 3; ++t) {
    const Image frame = strip_frame(strip, 3, t);
    EXPECT_EQ(frame.height(), 4);
    EXPECT_EQ(frame.row(0)[0], 10 * (t + 1));
    EXPECT_EQ(frame.row(3)[17], 10 * (t + 1));
  }
  EXPECT_THAT(test::failure([&] { strip_frame(strip, 3, 3); }), HasSubstr("a frame from 0 to 2, got 3"));
  EXPECT_THAT(test::failure([&] { strip_frame(strip, 5, 0); }), HasSubstr("no 5 frames"));
  EXPECT_THAT(test::failure([] { make_strip({}); }), HasSubstr("no frame"));
  EXPECT_THAT(test::failure([] { make_strip({plain(4, 6, 1), plain(4, 5, 1)}); }), HasSubstr("4 x 6 and of 4 x 5"));
}

TEST(Strip, ResizingLetsNoFrameIntoTheNext) {
  const Image strip = make_strip({plain(16, 16, 0), plain(16, 16, 255), plain(16, 16, 0)});
  const Image small = fit_strip(strip, 3, {4, 4}, Filter::kBicubic);
  ASSERT_EQ(small.height(), 12);
  for (int64_t y = 0; y < 12; ++y)
    for (int64_t x = 0; x < 12; ++x) EXPECT_EQ(small.row(y)[x], y / 4 == 1 ? 255 : 0) << y << " " << x;
  // What fits already is handed on.
  EXPECT_EQ(fit_strip(strip, 3, {16, 16}).row(0), strip.row(0));
}

TEST(Strip, FramesOfAFilmKeepTheirMiddle) {
  Image wide = plain(10, 30, 0);
  for (int64_t y = 0; y < 10; ++y) std::memset(wide.row(y) + 3 * 10, 200, 3 * 10);  // the middle third
  const Image fitted = fit_frame(wide, {5, 5});
  EXPECT_EQ(fitted.height(), 5);
  EXPECT_EQ(fitted.width(), 5);
  EXPECT_EQ(fitted.row(2)[3 * 2], 200);
  EXPECT_EQ(fit_frame(wide, {20, 20}).row(10)[3 * 10], 200);
  EXPECT_EQ(fit_frame(wide, {10, 30}).row(0), wide.row(0));
}

TEST(Strip, APictureIsNone) {
  EXPECT_THAT(test::usage_error([] {
                fit_strip(plain(64, 64, 1), 8, {8, 8});
              }),
              HasSubstr("a clip of 8 frames, beneath one another; a picture of 64 x 64 is none: give it a film"));
  EXPECT_THAT(test::usage_error([] { fit_strip(plain(63, 8, 1), 8, {8, 8}); }), HasSubstr("63 x 8"));
}

}  // namespace
}  // namespace vit
