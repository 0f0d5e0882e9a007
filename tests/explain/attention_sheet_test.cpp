#include "vit/explain/attention_sheet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/image_encode.h"

namespace vit {
namespace {

using test::pixels_of;
using testing::AllOf;
using testing::HasSubstr;

/// Each head looks at one cell of a row: head h at cell h.
SheetLayer layer_of(const std::string& name, int64_t heads, int64_t cells, float strength = 1.0f) {
  SheetLayer layer{.name = name, .cells = Tensor::zeros({heads, 1, cells})};
  for (int64_t h = 0; h < heads; ++h) layer.cells.f32()[h * cells + h % cells] = strength;
  layer.window = {.rows = 1.0, .columns = static_cast<double>(cells)};
  return layer;
}

Image dark(int64_t height, int64_t width) { return Image(Tensor::zeros({height, width, 3}, DType::u8)); }

/// Pixels that are bright yellow, as only the largest attention is.
int64_t bright(const Image& image) {
  int64_t count = 0;
  for (int64_t i = 0; i < image.height() * image.width(); ++i) {
    const uint8_t* pixel = image.pixels.data<uint8_t>() + 3 * i;
    count += pixel[0] > 200 && pixel[1] > 180 && pixel[2] < 90;
  }
  return count;
}

TEST(AttentionSheet, KeepsToItsBound) {
  const std::vector<SheetLayer> base(12, layer_of("blocks.0.attn", 12, 14)),
      large(24, layer_of("encoder.layer.23.attention", 16, 14));
  for (const auto& layers : {base, large}) {
    const Image sheet = draw_attention_sheet(dark(224, 224), layers, {.title = "t", .query = "class token"});
    EXPECT_LE(sheet.width(), 2400);
    EXPECT_LE(sheet.height(), 2400);
    EXPECT_GE(std::max(sheet.width(), sheet.height()), 1600) << "large enough to see something";
  }
  const Image one = draw_attention_sheet(dark(32, 32), {layer_of("a", 1, 2)}, {.mean = false});
  EXPECT_LE(one.width(), 600);
  EXPECT_GE(one.height(), 160);
}

TEST(AttentionSheet, EachHeadHasItsPicture) {
  const Image with_mean = draw_attention_sheet(dark(64, 64), {layer_of("a", 3, 4)}, {.side = 64});
  const Image without = draw_attention_sheet(dark(64, 64), {layer_of("a", 3, 4)}, {.mean = false, .side = 64});
  // Each head is brightest along its column of cells, a part of 64 rows; the legend has some yellow, too.
  EXPECT_GT(bright(without), 3 * 64 * 4);
  EXPECT_GT(bright(with_mean), bright(without)) << "the mean has its own scale";
  // Layers with fewer heads leave their room empty.
  const Image uneven =
      draw_attention_sheet(dark(64, 64), {layer_of("a", 3, 4), layer_of("b", 1, 2)}, {.mean = false, .side = 64});
  EXPECT_EQ(uneven.width(), without.width());
  EXPECT_EQ(uneven.height(), without.height() + 64 + 4);
}

TEST(AttentionSheet, ScalesDiffer) {
  const std::vector<SheetLayer> layers{layer_of("a", 2, 4), layer_of("b", 2, 4, 0.1f)};
  AttentionSheetOptions options{.mean = false, .side = 64};
  const int64_t own = bright(draw_attention_sheet(dark(64, 64), layers, options));
  options.scale = SheetScale::layer;
  const int64_t by_layer = bright(draw_attention_sheet(dark(64, 64), layers, options));
  options.scale = SheetScale::common;
  const int64_t common = bright(draw_attention_sheet(dark(64, 64), layers, options));
  EXPECT_EQ(own, by_layer);
  EXPECT_LT(common, by_layer - 64 * 4) << "the weak layer stays dark";
}

TEST(AttentionSheet, NothingIsDrawnAsNothing) {
  SheetLayer layer = layer_of("a", 1, 4, 0.0f);
  const Image sheet = draw_attention_sheet(dark(64, 64), {layer}, {.mean = false, .side = 64});
  layer.cells.f32()[0] = 1.0f;
  EXPECT_GT(bright(draw_attention_sheet(dark(64, 64), {layer}, {.mean = false, .side = 64})), bright(sheet));
  EXPECT_EQ(pixels_of(draw_attention_sheet(dark(64, 64), {layer}, {})),
            pixels_of(draw_attention_sheet(dark(64, 64), {layer}, {})));
}

TEST(AttentionSheet, ErrorsNameTheLayer) {
  const Image picture = dark(8, 8);
  EXPECT_THAT(test::failure([&] { draw_attention_sheet(picture, {}); }), HasSubstr("1 to 256 layers, got 0"));
  EXPECT_THAT(test::failure([&] { draw_attention_sheet({}, {layer_of("a", 1, 1)}); }), HasSubstr("no picture"));
  EXPECT_THAT(test::failure([&] { draw_attention_sheet(picture, {{.name = "x.attn"}}); }),
              AllOf(HasSubstr("x.attn"), HasSubstr("nothing")));
  EXPECT_THAT(test::failure([&] { draw_attention_sheet(picture, {layer_of("b", 257, 1)}); }), HasSubstr("257 heads"));
  EXPECT_THAT(test::failure([&] { draw_attention_sheet(picture, {layer_of("b", 1, 1)}, {.side = 9}); }),
              HasSubstr("24 to 512"));
}

}  // namespace
}  // namespace vit
