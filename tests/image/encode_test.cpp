#include "vit/image/encode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"
#include "vit/image/decode.h"

namespace vit {
namespace {

using test::as_bytes;
using test::pixels_of;
using testing::HasSubstr;

Image smooth(int64_t height, int64_t width) {
  Image image(height, width);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < 3; ++c) image.row(y)[x * 3 + c] = static_cast<uint8_t>(40 + 2 * x + y + 20 * c);
  return image;
}

TEST(Encode, PngComesBackExactly) {
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {7, 5}, {64, 33}}) {
    const Image image = test::pattern(height, width);
    EXPECT_EQ(pixels_of(decode_image(as_bytes(encode_png(image)), "x")), pixels_of(image));
  }
}

TEST(Encode, JpegComesBackNearly) {
  const Image image = smooth(40, 50);
  const std::string file = encode_jpeg(image, 95);
  const std::vector<uint8_t> expected = pixels_of(image), found = pixels_of(decode_image(as_bytes(file), "x"));
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], 8) << i;
  EXPECT_LT(encode_jpeg(image, 20).size(), file.size());
}

TEST(Encode, SavesByExtension) {
  const test::TempDir dir;
  const Image image = smooth(8, 9);
  save_image(dir / "a.PNG", image);
  save_image(dir / "b.jpeg", image);
  EXPECT_EQ(pixels_of(load_image((dir / "a.PNG").string())), pixels_of(image));
  EXPECT_EQ(test::slurp(dir / "b.jpeg").substr(0, 2), "\xFF\xD8");
  EXPECT_EQ(dir.entries(), (std::vector<std::string>{"a.PNG", "b.jpeg"}));
}

TEST(Encode, ErrorsSayWhatIsWrong) {
  const test::TempDir dir;
  EXPECT_THAT(test::usage_error([&] { save_image(dir / "a.gif", smooth(2, 2)); }), HasSubstr("'.gif'"));
  EXPECT_THAT(test::failure([&] { save_image(dir / "a.png", Image()); }), HasSubstr("a.png: encode PNG: an undefined"));
  EXPECT_THAT(test::failure([&] { save_image(dir / "no" / "a.png", smooth(2, 2)); }), HasSubstr("a.png"));
  EXPECT_THAT(test::failure([&] { encode_jpeg(smooth(2, 2), 0); }), HasSubstr("quality"));
  EXPECT_THAT(test::failure([&] { encode_jpeg(Image(1, 65'501)); }), HasSubstr("write PNG instead"));
  EXPECT_TRUE(dir.entries().empty());
}

}  // namespace
}  // namespace vit
