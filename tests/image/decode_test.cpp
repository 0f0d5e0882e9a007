// What decoding yields for each kind of picture, by values that Pillow 9.4 gives (checked with it when this was
// written).
#include "vit/image/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"
#include "vit/image/orientation.h"

namespace vit {
namespace {

using test::as_bytes;
using test::be;
using testing::ElementsAreArray;
using Bytes = std::vector<uint8_t>;

Image decode(const std::string& file, bool honour_orientation = false) {
  return decode_image(as_bytes(file), "picture", {.honour_orientation = honour_orientation});
}

void expect_same(const Image& actual, const Image& expected) {
  ASSERT_EQ(actual.pixels.shape(), expected.pixels.shape());
  EXPECT_EQ(test::pixels_of(actual), test::pixels_of(expected));
}

TEST(Decode, LosslessFormatsGiveTheStoredPixels) {
  const Image image = test::pattern(5, 7);
  const std::string raw = test::raw_rgb(image);
  for (const std::string& file : {test::encode_png(5, 7, raw), test::encode_bmp(image), test::encode_ppm(image),
                                  test::encode_tiff(5, 7, raw), test::encode_sun_raster(image)})
    expect_same(decode(file), image);
  const Image tiny = test::picture(2, 3, test::tiny_pixels());
  for (const std::string& file : {test::tiny_webp(), test::tiny_jpeg2000(), test::tiny_jpeg2000_codestream()})
    expect_same(decode(file), tiny);
}

TEST(Decode, JpegIsCloseToWhatWasStored) {
  const Image image = test::picture(8, 8, Bytes(192, 120));
  for (const bool progressive : {false, true}) {
    const Image decoded = decode(test::encode_jpeg(image, {.progressive = progressive}));
    ASSERT_EQ(decoded.pixels.shape(), image.pixels.shape());
    for (const uint8_t value : test::pixels_of(decoded)) EXPECT_NEAR(value, 120, 1);
  }
}

TEST(Decode, GreyIsReplicated) {
  EXPECT_THAT(test::pixels_of(decode(test::encode_png(1, 2, "\x10\xF0", {.colour_type = 0}))),
              ElementsAreArray(Bytes{0x10, 0x10, 0x10, 0xF0, 0xF0, 0xF0}));
  const Image jpeg = decode(test::encode_jpeg(test::pattern(16, 16), {.components = 1}));
  for (int64_t i = 0; i < 256; ++i) {
    EXPECT_EQ(jpeg.row(0)[3 * i], jpeg.row(0)[3 * i + 1]);
    EXPECT_EQ(jpeg.row(0)[3 * i], jpeg.row(0)[3 * i + 2]);
  }
}

TEST(Decode, AlphaIsDroppedNotBlended) {
  const std::string rgba = std::string("\x10\x20\x30\x00", 4) + "\x40\x50\x60\x80";
  const Bytes expected{0x10, 0x20, 0x30, 0x40, 0x50, 0x60};
  EXPECT_EQ(test::pixels_of(decode(test::encode_png(1, 2, rgba, {.colour_type = 6}))), expected);
  EXPECT_EQ(test::pixels_of(decode(test::encode_tiff(1, 2, rgba, {.samples = 4}))), expected);
  const std::string grey_alpha("\x77\x00", 2);
  EXPECT_EQ(test::pixels_of(decode(test::encode_png(1, 1, grey_alpha, {.colour_type = 4}))), Bytes(3, 0x77));
}

TEST(Decode, PaletteIsExpandedWithOrWithoutTransparency) {
  const std::string palette = test::png_chunk("PLTE", "\x01\x02\x03\xF0\xE0\xD0");
  const std::string transparent = palette + test::png_chunk("tRNS", std::string(1, '\0'));
  for (const std::string& before : {palette, transparent}) {
    // Two-bit indices 0, 1, 1 in one byte.
    const std::string file = test::encode_png(1, 3, "\x14", {.depth = 2, .colour_type = 3, .before_data = before});
    EXPECT_EQ(test::pixels_of(decode(file)), (Bytes{1, 2, 3, 0xF0, 0xE0, 0xD0, 0xF0, 0xE0, 0xD0}));
  }
}

TEST(Decode, CmykIsReadInvertedAndMultipliedByItsBlack) {
  // Stored 4 components with black 255, that is none: the rest are the colours.
  const Image image = test::picture(8, 8, Bytes(192, 90));
  const Image decoded = decode(test::encode_jpeg(image, {.components = 4, .quality = 100}));
  ASSERT_EQ(decoded.pixels.shape(), image.pixels.shape());
  for (const uint8_t value : test::pixels_of(decoded)) EXPECT_NEAR(value, 90, 2);
}

TEST(Decode, SixteenBitsAreScaledToEight) {
  const std::string big = be(0x1234, 2) + be(0xFFFF, 2) + be(0x00FF, 2);
  EXPECT_EQ(test::pixels_of(decode(test::encode_png(1, 1, big, {.depth = 16}))), (Bytes{0x12, 0xFF, 0x00}));
  const std::string grey = be(0xABCD, 2);
  EXPECT_EQ(test::pixels_of(decode(test::encode_png(1, 1, grey, {.depth = 16, .colour_type = 0}))), Bytes(3, 0xAB));
  const std::string little = test::le(0x1234, 2) + test::le(0xFFFF, 2) + test::le(0x00FF, 2);
  EXPECT_EQ(test::pixels_of(decode(test::encode_tiff(1, 1, little, {.bits = 16}))), (Bytes{0x12, 0xFF, 0x00}));
  // Pillow rounds these: 0x12FF / 65535 * 255 = 18.92.
  EXPECT_EQ(test::pixels_of(decode("P5 1 1 65535\n" + be(0x12FF, 2))), Bytes(3, 19));
}

TEST(Decode, PnmInAllItsForms) {
  EXPECT_EQ(test::pixels_of(decode("P1\n2 1\n10\n")), (Bytes{0, 0, 0, 255, 255, 255}));
  EXPECT_EQ(test::pixels_of(decode("P2\n# grey\n2 1 4\n0 3\n")), (Bytes{0, 0, 0, 191, 191, 191}));
  EXPECT_EQ(test::pixels_of(decode("P3 1 1 255 1 2 3 ")), (Bytes{1, 2, 3}));
  EXPECT_EQ(test::pixels_of(decode(std::string("P4 3 1\n\xA0", 8))), (Bytes{0, 0, 0, 255, 255, 255, 0, 0, 0}));
  EXPECT_EQ(test::pixels_of(decode("P5 2 1 100\n\x64\x32")), (Bytes{255, 255, 255, 128, 128, 128}));
}

/// Where the upright pixel (y, x) of a stored height x width picture comes from, as the EXIF standard words it.
struct Origin {
  int64_t y, x;
};
Origin stored_position(int orientation, int64_t y, int64_t x, int64_t height, int64_t width) {
  switch (orientation) {
    case 2:  // mirrored left to right
      return {y, width - 1 - x};
    case 3:  // turned by 180 degrees
      return {height - 1 - y, width - 1 - x};
    case 4:  // mirrored top to bottom
      return {height - 1 - y, x};
    case 5:  // mirrored at the main diagonal
      return {x, y};
    case 6:  // stored turned left: turn right
      return {height - 1 - x, y};
    case 7:  // mirrored at the other diagonal
      return {height - 1 - x, width - 1 - y};
    case 8:  // stored turned right: turn left
      return {x, width - 1 - y};
    default:
      return {y, x};
  }
}

class Orientation : public testing::TestWithParam<int> {
 protected:
  static Image upright(const Image& stored, int orientation) {
    const bool swap = orientation >= 5;
    Image image(swap ? stored.width() : stored.height(), swap ? stored.height() : stored.width());
    for (int64_t y = 0; y < image.height(); ++y)
      for (int64_t x = 0; x < image.width(); ++x) {
        const Origin origin = stored_position(orientation, y, x, stored.height(), stored.width());
        for (int c = 0; c < 3; ++c) image.row(y)[3 * x + c] = stored.row(origin.y)[3 * origin.x + c];
      }
    return image;
  }
};

TEST_P(Orientation, JpegIsTurnedOnlyWhenAsked) {
  const std::string file = test::encode_jpeg(test::pattern(9, 14), {.orientation = GetParam()});
  const Image stored = decode(file);
  ASSERT_EQ(stored.pixels.shape(), (Shape{9, 14, 3}));
  expect_same(decode(file, true), upright(stored, GetParam()));
}

TEST_P(Orientation, PngIsTurnedOnlyWhenAsked) {
  const Image image = test::pattern(4, 6);
  const std::string exif = test::png_chunk("eXIf", test::exif_block(GetParam(), true));
  const std::string file = test::encode_png(4, 6, test::raw_rgb(image), {.before_data = exif});
  expect_same(decode(file), image);
  expect_same(decode(file, true), upright(image, GetParam()));
}

TEST_P(Orientation, TiffIsAlwaysTurned) {
  const Image image = test::pattern(4, 6);
  const std::string file = test::encode_tiff(4, 6, test::raw_rgb(image), {.orientation = GetParam()});
  expect_same(decode(file), upright(image, GetParam()));
  expect_same(decode(file, true), upright(image, GetParam()));
}

INSTANTIATE_TEST_SUITE_P(All, Orientation, testing::Range(1, 9));

TEST(Decode, WebpOrientationIsRead) {
  const Image turned = decode(test::tiny_webp_rotated(), true);
  EXPECT_EQ(test::pixels_of(turned), test::pixels_of(apply_orientation(test::picture(2, 3, test::tiny_pixels()), 6)));
}

TEST(Decode, NonsenseOrientationsAreIgnored) {
  const Image image = test::pattern(8, 10);
  const Image plain = decode(test::encode_jpeg(image));
  expect_same(decode(test::encode_jpeg(image, {.orientation = 9}), true), plain);
  expect_same(decode(test::encode_jpeg(image, {.orientation = 6, .damaged_exif = true}), true), plain);
}

TEST(Decode, FilesAreReadByContentNotByName) {
  const test::TempDir dir;
  const Image image = test::pattern(3, 4);
  const auto path = dir.write("picture.jpg", test::encode_png(3, 4, test::raw_rgb(image)));
  expect_same(load_image(path.string()), image);
}

}  // namespace
}  // namespace vit
