// Damaged, cut off, lying and foreign files: one clear error each, never a crash, never grey pixels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"
#include "vit/image/decode.h"
#include "vit/image/header.h"

namespace vit {
namespace {

using test::as_bytes;
using test::be;
using test::failure;
using test::le;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string decode_error(const std::string& file, const DecodeOptions& options = {}) {
  return failure([&] { decode_image(as_bytes(file), "photo", options); });
}

std::map<std::string, std::string> one_of_each() {
  const Image image = test::pattern(12, 17);
  const std::string raw = test::raw_rgb(image);
  return {{"jpeg", test::encode_jpeg(image)},
          {"progressive jpeg", test::encode_jpeg(image, {.progressive = true})},
          {"cmyk jpeg", test::encode_jpeg(image, {.components = 4})},
          {"png", test::encode_png(12, 17, raw)},
          {"bmp", test::encode_bmp(image)},
          {"tiff", test::encode_tiff(12, 17, raw)},
          {"ppm", test::encode_ppm(image)},
          {"sun", test::encode_sun_raster(image)},
          {"webp", test::tiny_webp()},
          {"jpeg 2000", test::tiny_jpeg2000()},
          {"jpeg 2000 codestream", test::tiny_jpeg2000_codestream()}};
}

TEST(BadImage, EveryTruncationIsAnErrorThatNamesTheFile) {
  for (const auto& [kind, file] : one_of_each()) {
    ASSERT_NO_THROW(decode_image(as_bytes(file), "photo")) << kind;
    for (size_t length = 0; length < file.size(); ++length) {
      SCOPED_TRACE(kind + " cut to " + std::to_string(length) + " of " + std::to_string(file.size()));
      EXPECT_THAT(decode_error(file.substr(0, length)), StartsWith("photo: "));
    }
  }
}

TEST(BadImage, TruncatedJpegSaysSo) {
  const std::string file = test::encode_jpeg(test::pattern(40, 40));
  EXPECT_THAT(decode_error(file.substr(0, file.size() / 2)), HasSubstr("truncated JPEG"));
  EXPECT_THAT(decode_error(file.substr(0, file.size() - 2)), HasSubstr("truncated JPEG"));
  EXPECT_THAT(decode_error(file.substr(0, 20)), HasSubstr("truncated JPEG"));
}

TEST(BadImage, EmptyAndForeignFilesSaySo) {
  EXPECT_EQ(decode_error(""), "photo: empty file");
  EXPECT_THAT(decode_error("Dear Sir or Madam"),
              AllOf(HasSubstr("not an image format that is known"), HasSubstr("JPEG, PNG")));
  EXPECT_THAT(decode_error("GIF89a\x01\x01"), HasSubstr("not an image format that is known"));
  EXPECT_THAT(decode_error(std::string(1000, '\0')), HasSubstr("not an image format that is known"));
}

/// Small files whose headers claim 65,535 x 65,535 pixels.
std::map<std::string, std::string> bombs() {
  const uint64_t side = 65535;
  std::string jpeg = test::encode_jpeg(test::pattern(8, 8));
  jpeg.replace(jpeg.find("\xFF\xC0") + 5, 4, be(side, 2) + be(side, 2));
  std::string bmp = test::encode_bmp(test::pattern(8, 8));
  bmp.replace(18, 8, le(side, 4) + le(side, 4));
  std::string tiff = test::encode_tiff(8, 8, test::raw_rgb(test::pattern(8, 8)));
  const std::string eight = le(1, 4) + le(8, 4), huge = le(1, 4) + le(side, 4);
  tiff.replace(tiff.find(le(256, 2) + le(4, 2) + eight) + 4, 8, huge);
  tiff.replace(tiff.find(le(257, 2) + le(4, 2) + eight) + 4, 8, huge);
  std::string sun = test::encode_sun_raster(test::pattern(8, 8));
  sun.replace(4, 8, be(side, 4) + be(side, 4));
  std::string jp2 = test::tiny_jpeg2000();
  jp2.replace(jp2.find("ihdr") + 4, 8, be(side, 4) + be(side, 4));
  std::string codestream = test::tiny_jpeg2000_codestream();
  codestream.replace(8, 8, be(side, 4) + be(side, 4));
  const std::string vp8x = "RIFF" + le(30, 4) + "WEBPVP8X" + le(10, 4) + le(0, 4) + le(side - 1, 3) + le(side - 1, 3);
  const std::string png_header = be(side, 4) + be(side, 4) + std::string("\x08\x02\0\0\0", 5);
  const std::string png = "\x89PNG\r\n\x1A\n" + test::png_chunk("IHDR", png_header) + test::png_chunk("IEND", "");
  return {{"jpeg", jpeg}, {"bmp", bmp}, {"tiff", tiff},
          {"sun", sun},   {"jp2", jp2}, {"codestream", codestream},
          {"webp", vp8x}, {"png", png}, {"pnm", "P6 65535 65535 255\n"}};
}

TEST(BadImage, HugeExtentsAreRefusedFromTheHeader) {
  for (const auto& [kind, file] : bombs()) {
    SCOPED_TRACE(kind);
    EXPECT_THAT(decode_error(file), HasSubstr("65535 x 65535 pixels, more than the limit of 100000000 pixels"));
  }
}

TEST(BadImage, LyingExtentsWithinTheLimitAreErrorsToo) {
  for (const auto& [kind, file] : bombs()) {
    if (kind == "jpeg" || kind == "bmp" || kind == "tiff" || kind == "sun") continue;  // would really allocate 12 GB
    SCOPED_TRACE(kind);
    EXPECT_THAT(decode_error(file, {.max_pixels = int64_t{1} << 40}), StartsWith("photo: "));
  }
  std::string jp2 = test::tiny_jpeg2000();
  jp2.replace(jp2.find("ihdr") + 4, 8, be(20, 4) + be(30, 4));
  EXPECT_THAT(decode_error(jp2), StartsWith("photo: "));
}

TEST(BadImage, TheLimitIsExact) {
  const std::string file = test::encode_ppm(test::pattern(10, 10));
  EXPECT_NO_THROW(decode_image(as_bytes(file), "photo", {.max_pixels = 100}));
  EXPECT_THAT(decode_error(file, {.max_pixels = 99}), HasSubstr("10 x 10 pixels, more than the limit of 99 pixels"));
}

TEST(BadImage, ZeroExtentsAreErrors) {
  EXPECT_THAT(decode_error("P5 0 3 255\n123"), HasSubstr("0 x 3"));
  const std::string header = be(0, 4) + be(7, 4) + std::string("\x08\x02\0\0\0", 5);
  EXPECT_THAT(decode_error("\x89PNG\r\n\x1A\n" + test::png_chunk("IHDR", header)), HasSubstr("0 x 7"));
  std::string bmp = test::encode_bmp(test::pattern(2, 2));
  bmp.replace(18, 4, le(0xFFFFFFFF, 4));  // -1
  EXPECT_THAT(decode_error(bmp), HasSubstr("damaged BMP"));
}

TEST(BadImage, FlippedBytesNeverCrash) {
  for (const auto& [kind, file] : one_of_each()) {
    SCOPED_TRACE(kind);
    for (size_t at = 0; at<file.size(); at += file.size()> 600 ? 3 : 1) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(damaged[at] ^ 0xA5);
      try {
        // A small limit: a flipped extent may be large and still legal.
        decode_image(as_bytes(damaged), "photo", {.max_pixels = 1 << 16});
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), StartsWith("photo: "));
      }
    }
  }
}

TEST(BadImage, DamagedPngChunksAreFound) {
  std::string file = test::encode_png(6, 6, test::raw_rgb(test::pattern(6, 6)));
  file[file.find("IDAT") + 20] ^= 1;
  EXPECT_THAT(decode_error(file), HasSubstr("wrong checksum"));
}

TEST(BadImage, PathsThatAreNoFilesSaySo) {
  const test::TempDir dir;
  EXPECT_THAT(failure([&] { load_image((dir / "none.jpg").string()); }), HasSubstr("none.jpg: no such file"));
  EXPECT_THAT(failure([&] { load_image(dir.path().string()); }), HasSubstr("a folder"));
  const auto empty = dir.write("empty.png", "");
  EXPECT_EQ(failure([&] { load_image(empty.string()); }), empty.string() + ": empty file");
}

TEST(BadImage, PnmWithNonsenseIsRefused) {
  EXPECT_THAT(decode_error("P2 2 1 255 12 cat ..."), HasSubstr("not a number"));
  EXPECT_THAT(decode_error("P5 2 1 70000\n    "), HasSubstr("maximum"));
  EXPECT_THAT(decode_error("P1 2 1 17"), HasSubstr("neither 0 nor 1"));
}

TEST(Header, ExifOrientationOfDamagedBlocksIsOne) {
  const std::string block = test::exif_block(6, false);
  EXPECT_EQ(exif_orientation(as_bytes(block)), 6);
  for (size_t length = 0; length < 22; ++length) EXPECT_EQ(exif_orientation(as_bytes(block.substr(0, length))), 1);
  std::string far_away = block;
  far_away.replace(4, 4, le(0xFFFFFFF0, 4));
  EXPECT_EQ(exif_orientation(as_bytes(far_away)), 1);
}

}  // namespace
}  // namespace vit
