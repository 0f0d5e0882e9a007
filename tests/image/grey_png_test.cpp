#include "vit/image/grey_png.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"
#include "vit/image/decode.h"

namespace vit {
namespace {

using testing::HasSubstr;

Tensor ramp(int64_t height, int64_t width) {
  Tensor values = Tensor::empty({height, width});
  for (int64_t i = 0; i < values.numel(); ++i)
    values.f32()[i] = static_cast<float>(i) / static_cast<float>(values.numel() - 1);
  return values;
}

TEST(GreyPng, EightBitsComeBackThroughADecoder) {
  const Tensor values = ramp(7, 11);
  const Image image = decode_image(test::as_bytes(encode_grey_png(values, {}, 8)), "x");
  ASSERT_EQ(image.pixels.shape(), (Shape{7, 11, 3}));
  for (int64_t i = 0; i < values.numel(); ++i)
    for (int64_t c = 0; c < 3; ++c)
      EXPECT_EQ(image.pixels.data<uint8_t>()[3 * i + c], std::lround(255.0 * values.f32()[i])) << i;
}

TEST(GreyPng, SixteenBitsHaveTheirHighByteFirst) {
  // A decoder to 8 bits keeps the high bytes.
  const Tensor values = ramp(9, 6);
  const Image image = decode_image(test::as_bytes(encode_grey_png(values, {}, 16)), "x");
  for (int64_t i = 0; i < values.numel(); ++i)
    EXPECT_NEAR(image.pixels.data<uint8_t>()[3 * i], 255.0 * values.f32()[i], 1.0) << i;
  const std::string file = encode_grey_png(values, {});
  EXPECT_EQ(file.substr(0, 8), "\x89PNG\r\n\x1a\n");
  EXPECT_EQ(file.substr(12, 14), std::string("IHDR\0\0\0\6\0\0\0\x09\x10\0", 14)) << "6 x 9, 16 bits, grey";
}

TEST(GreyPng, RangeIsKeptAndClamped) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor values = Tensor::from<float>({-3.0f, -2.0f, 0.0f, 2.0f, 9.0f, nan}, {1, 6});
  const std::string file = encode_grey_png(values, {-2.0, 2.0}, 8);
  EXPECT_THAT(file, HasSubstr("-2 is black, 2 is white"));
  const Image image = decode_image(test::as_bytes(file), "x");
  const std::vector<int> expected{0, 0, 128, 255, 255, 0};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(image.row(0)[3 * i], expected[i]) << i;
  EXPECT_EQ(file, encode_grey_png(values, {-2.0, 2.0}, 8)) << "the same bytes";
}

TEST(GreyPng, ErrorsNameTheFile) {
  const test::TempDir dir;
  save_grey_png(dir / "a.png", ramp(2, 2), {});
  EXPECT_EQ(load_image((dir / "a.png").string()).width(), 2);
  EXPECT_THAT(test::failure([&] { save_grey_png(dir / "b.png", Tensor(), {}); }), HasSubstr("b.png: encode grey PNG"));
  EXPECT_THAT(test::failure([&] { encode_grey_png(Tensor::zeros({4}), {}); }), HasSubstr("[4]"));
  EXPECT_THAT(test::failure([&] { encode_grey_png(ramp(2, 2), {}, 12); }), HasSubstr("8 or 16 bits, got 12"));
  EXPECT_THAT(test::failure([&] { encode_grey_png(ramp(2, 2), {1.0, 1.0}); }), HasSubstr("in order"));
  EXPECT_EQ(dir.entries(), std::vector<std::string>{"a.png"});
}

}  // namespace
}  // namespace vit
