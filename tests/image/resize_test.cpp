// Resizing against a plain reading of Pillow's definition, on ragged sizes; the bytes of Pillow itself are in the
// reference case D_preprocess (tests/parity).
#include "vit/image/resize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "vit/core/rng.h"

namespace vit {
namespace {

using testing::HasSubstr;

Image noise(int64_t height, int64_t width, uint64_t seed, bool extremes = false) {
  Image image(height, width);
  Rng rng(seed);
  for (uint8_t& value : image.pixels.span<uint8_t>())
    value = extremes ? (rng.next_u32() & 1 ? uint8_t{255} : uint8_t{0}) : static_cast<uint8_t>(rng.next_u32());
  return image;
}

double kernel(Filter filter, double x) {
  const auto sinc = [](double t) { return t == 0 ? 1.0 : std::sin(std::numbers::pi * t) / (std::numbers::pi * t); };
  const double a = std::fabs(x);
  switch (filter) {
    case Filter::kBox:
      return x > -0.5 && x <= 0.5 ? 1 : 0;
    case Filter::kBilinear:
      return a < 1 ? 1 - a : 0;
    case Filter::kHamming:
      return a < 1 ? sinc(a) * (0.54 + 0.46 * std::cos(std::numbers::pi * a)) : 0;
    case Filter::kBicubic:
      if (a < 1) return (1.5 * a - 2.5) * a * a + 1;
      return a < 2 ? ((-0.5 * a + 2.5) * a - 4) * a + 2 : 0;
    default:
      return a < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
}

double support(Filter filter) {
  if (filter == Filter::kBox) return 0.5;
  if (filter == Filter::kBicubic) return 2;
  return filter == Filter::kLanczos ? 3 : 1;
}

/// One axis, the result rounded to 8 bits: `get(i)` is the source of extent n, box [begin, end). Pillow's weights have
/// 22 fractional bits, and box and bilinear results often lie on a half, where those bits decide: so has this
/// definition.
template <class Get>
uint8_t filtered(const Get& get, int64_t n, double begin, double end, int64_t result, int64_t i, Filter filter) {
  const double scale = (end - begin) / static_cast<double>(result), stretch = std::max(scale, 1.0);
  const double center = begin + (static_cast<double>(i) + 0.5) * scale, reach = support(filter) * stretch;
  const auto first = std::max<int64_t>(0, static_cast<int64_t>(center - reach + 0.5));
  const auto last = std::min<int64_t>(n, static_cast<int64_t>(center + reach + 0.5));
  const auto weight = [&](int64_t j) { return kernel(filter, (static_cast<double>(j) - center + 0.5) / stretch); };
  double total = 0;
  for (int64_t j = first; j < last; ++j) total += weight(j);
  int64_t sum = 0;
  for (int64_t j = first; j < last; ++j) sum += get(j) * std::llround(weight(j) / total * (1 << 22));
  return static_cast<uint8_t>(std::clamp<int64_t>((sum + (1 << 21)) >> 22, 0, 255));
}

Image plain_resize(const Image& source, int64_t height, int64_t width, Filter filter, const SourceBox& box) {
  Image between(source.height(), width), result(height, width);
  for (int c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < source.height(); ++y)
      for (int64_t x = 0; x < width; ++x)
        between.row(y)[3 * x + c] = filtered([&](int64_t j) { return source.row(y)[3 * j + c]; }, source.width(),
                                             box.left, box.right, width, x, filter);
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        result.row(y)[3 * x + c] = filtered([&](int64_t j) { return between.row(j)[3 * x + c]; }, source.height(),
                                            box.top, box.bottom, height, y, filter);
  }
  return result;
}

void expect_same(const Image& actual, const Image& plain) {
  ASSERT_EQ(actual.pixels.shape(), plain.pixels.shape());
  EXPECT_EQ(test::pixels_of(actual), test::pixels_of(plain));
}

class Filters : public testing::TestWithParam<Filter> {};

TEST_P(Filters, MatchThePlainDefinitionOnRaggedSizes) {
  const int64_t sizes[][4] = {{1, 1, 3, 2},     {2, 5, 5, 2},   {7, 3, 7, 9},     {13, 17, 5, 6},
                              {31, 29, 64, 15}, {40, 3, 4, 33}, {3, 100, 11, 16}, {64, 64, 21, 64},
                              {5, 4, 1, 1},     {90, 70, 2, 3}, {50, 67, 37, 50}};
  uint64_t seed = 1;
  for (const auto& [from_h, from_w, to_h, to_w] : sizes) {
    SCOPED_TRACE(str(from_h, " x ", from_w, " -> ", to_h, " x ", to_w));
    ++seed;
    const Image source = noise(from_h, from_w, seed, seed % 3 == 0);
    const SourceBox whole{0, 0, static_cast<float>(from_w), static_cast<float>(from_h)};
    expect_same(resize(source, {.height = to_h, .width = to_w, .filter = GetParam()}),
                plain_resize(source, to_h, to_w, GetParam(), whole));
  }
}

TEST_P(Filters, FollowAFractionalBox) {
  const Image source = noise(33, 41, 5);
  const SourceBox box{2.5f, 3.25f, 37.75f, 29.0f};
  expect_same(resize(source, {.height = 17, .width = 19, .filter = GetParam(), .box = box}),
              plain_resize(source, 17, 19, GetParam(), box));
}

TEST_P(Filters, KeepAConstantPicture) {
  const Image source = test::picture(9, 11, std::vector<uint8_t>(9 * 11 * 3, 255));
  for (const int64_t side : {1, 4, 25})
    EXPECT_EQ(test::pixels_of(resize(source, {.height = side, .width = side, .filter = GetParam()})),
              std::vector<uint8_t>(static_cast<size_t>(side * side * 3), 255));
}

INSTANTIATE_TEST_SUITE_P(All, Filters,
                         testing::Values(Filter::kBox, Filter::kBilinear, Filter::kHamming, Filter::kBicubic,
                                         Filter::kLanczos),
                         [](const auto& test_case) { return std::string(name_of(test_case.param)); });

Image cut(const Image& image, const Window& window) {
  Image result(window.height, window.width);
  for (int64_t y = 0; y < window.height; ++y)
    std::copy_n(image.row(window.top + y) + 3 * window.left, 3 * window.width, result.row(y));
  return result;
}

TEST(Resize, AWindowHasTheBytesOfTheWholeResult) {
  const Image source = noise(53, 71, 9);
  for (int number = 0; number <= 5; ++number) {
    const auto filter = static_cast<Filter>(number);
    for (const auto& [height, width] : {std::pair{31, 29}, std::pair{53, 40}, std::pair{60, 71}, std::pair{53, 71}}) {
      const Image whole = resize(source, {.height = height, .width = width, .filter = filter});
      for (const Window window : {Window{0, 0, 5, 7}, Window{3, 11, 20, 18}, Window{height - 6, width - 9, 6, 9}}) {
        const Image part = resize(source, {.height = height, .width = width, .filter = filter, .window = window});
        EXPECT_EQ(test::pixels_of(part), test::pixels_of(cut(whole, window))) << name_of(filter) << " " << height;
      }
    }
  }
}

TEST(Resize, NearestTakesTheMiddleOfEachCell) {
  const Image source = test::picture(1, 4, {0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3});
  EXPECT_EQ(test::pixels_of(resize(source, {.height = 1, .width = 2, .filter = Filter::kNearest})),
            (std::vector<uint8_t>{1, 1, 1, 3, 3, 3}));
  EXPECT_EQ(test::pixels_of(resize(source, {.height = 1, .width = 3, .filter = Filter::kNearest})),
            (std::vector<uint8_t>{0, 0, 0, 2, 2, 2, 3, 3, 3}));
}

TEST(Resize, TheSameSizeIsACopy) {
  const Image source = noise(6, 5, 3);
  for (int number = 0; number <= 5; ++number)
    EXPECT_EQ(test::pixels_of(resize(source, {.height = 6, .width = 5, .filter = static_cast<Filter>(number)})),
              test::pixels_of(source));
}

TEST(Resize, AThinStripToAnEnormousLengthIsCheapThroughAWindow) {
  const Image source = noise(2, 50000, 4);
  const Image middle =
      resize(source,
             {.height = 224, .width = 5'600'000, .filter = Filter::kBicubic, .window = Window{0, 2'799'888, 224, 224}});
  EXPECT_EQ(middle.pixels.shape(), (Shape{224, 224, 3}));
}

TEST(Resize, RefusesNonsense) {
  const Image source = noise(4, 4, 1);
  EXPECT_THAT(test::failure([&] { resize(source, {.height = 0, .width = 3}); }), HasSubstr("0 x 3"));
  EXPECT_THAT(test::failure([&] { resize(Image(), {.height = 2, .width = 3}); }), HasSubstr("undefined"));
  EXPECT_THAT(test::failure([&] {
                resize(source, {.height = 2, .width = 2, .box = SourceBox{0, 0, 5, 4}});
              }),
              HasSubstr("box"));
  EXPECT_THAT(test::failure([&] {
                resize(source, {.height = 2, .width = 2, .window = Window{1, 1, 2, 1}});
              }),
              HasSubstr("window"));
  EXPECT_THAT(test::failure([&] { resize(source, {.height = 1 << 20, .width = 1 << 20}); }), HasSubstr("too many"));
  EXPECT_THAT(test::usage_error([] { filter_from_name("bicubik"); }), HasSubstr("did you mean 'bicubic'"));
}

}  // namespace
}  // namespace vit
