#include "datasets/augment_affine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/datasets/pictures.h"
#include "tests/support/errors.h"

namespace datasets {
namespace {

using test::bytes_of;
using test::hash_of;
using test::picture;

constexpr Colour kFill = {124, 116, 104};

// What Pillow 9.4 makes of the same pictures.
struct PillowCase {
  const char* name;
  void (*run)(vit::Image&);
  uint64_t hash;              // of the result for picture(61, 83)
  std::vector<int> expected;  // for picture(4, 5)
};

const std::vector<PillowCase>& pillow_cases() {
  static const std::vector<PillowCase> cases = {
      {"rotate 27 bilinear",
       [](vit::Image& i) { i = rotated(i, 27, vit::Filter::kBilinear, kFill); },
       0x4878e6ea588a9cb5ull,
       {124, 116, 104, 196, 132, 125, 194, 85,  164, 207, 189, 152, 241, 205, 227, 62,  87,  157, 136, 153,
        183, 237, 130, 204, 193, 178, 116, 219, 113, 69,  217, 198, 231, 146, 154, 207, 176, 151, 67,  191,
        139, 100, 161, 137, 58,  88,  226, 194, 141, 129, 144, 230, 65,  118, 225, 159, 155, 124, 116, 104}},
      {"rotate -13.7 bicubic",
       [](vit::Image& i) { i = rotated(i, -13.7, vit::Filter::kBicubic, kFill); },
       0x5995c53c55919f02ull,
       {149, 117, 213, 55,  119, 154, 191, 140, 117, 199, 34,  191, 152, 100, 113, 181, 242, 239, 111, 226,
        230, 229, 96,  255, 223, 194, 115, 208, 213, 169, 93,  160, 124, 247, 21,  152, 156, 186, 13,  171,
        155, 130, 255, 153, 179, 150, 70,  27,  255, 48,  135, 235, 175, 153, 190, 114, 71,  144, 118, 11}},
      {"rotate 90 bilinear",
       [](vit::Image& i) { i = rotated(i, 90, vit::Filter::kBilinear, kFill); },
       0xc27f11f134bef51bull,
       {168, 114, 124, 199, 172, 144, 210, 171, 131, 177, 126, 76,  124, 116, 104, 197, 85,  158, 215, 128,
        164, 197, 160, 122, 197, 148, 100, 124, 116, 104, 157, 110, 123, 161, 138, 176, 176, 141, 169, 210,
        102, 119, 124, 116, 104, 50,  66,  143, 101, 142, 182, 149, 179, 209, 153, 111, 130, 124, 116, 104}},
      {"shear_x 0.25 bilinear",
       [](vit::Image& i) {
         i = affine(i, {1, 0.25, 0, 0, 1, 0}, vit::Filter::kBilinear, kFill);
       },
       0x4ea5019022786532ull,
       {20,  60,  162, 106, 82,  119, 218, 132, 135, 169, 45,  172, 166, 205, 60,  169, 213, 224, 143, 184,
        225, 237, 151, 189, 227, 234, 145, 243, 213, 240, 163, 117, 198, 181, 133, 85,  160, 141, 89,  196,
        112, 89,  124, 116, 104, 223, 28,  78,  223, 147, 164, 243, 133, 90,  104, 149, 36,  124, 116, 104}},
      {"shear_y -0.3 bicubic",
       [](vit::Image& i) {
         i = affine(i, {1, 0, 0, -0.3, 1, 0}, vit::Filter::kBicubic, kFill);
       },
       0x4481fc59c78befe2ull,
       {0,   44,  162, 91,  50,  105, 124, 116, 104, 124, 116, 104, 124, 116, 104, 206, 172, 227, 66,  190,
        170, 235, 130, 169, 167, 12,  193, 154, 203, 33,  103, 234, 214, 149, 159, 233, 227, 108, 200, 218,
        242, 91,  219, 225, 203, 75,  166, 64,  245, 6,   136, 164, 191, 22,  159, 122, 134, 253, 140, 144}},
      {"translate_x 1.35 bicubic",
       [](vit::Image& i) {
         i = affine(i, {1, 0, 1.35, 0, 1, 0}, vit::Filter::kBicubic, kFill);
       },
       0xb80052d32d8479f9ull,
       {153, 111, 109, 226, 100, 161, 160, 68,  152, 165, 231, 40,  124, 116, 104, 120, 182, 234, 255, 128,
        187, 222, 255, 118, 246, 207, 255, 124, 116, 104, 216, 75,  129, 148, 179, 34,  180, 103, 126, 227,
        109, 52,  124, 116, 104, 255, 46,  130, 238, 175, 159, 193, 131, 47,  59,  155, 24,  124, 116, 104}},
      {"translate_y -1.8 bilinear",
       [](vit::Image& i) {
         i = affine(i, {1, 0, 0, 0, 1, -1.8}, vit::Filter::kBilinear, kFill);
       },
       0x1ccb797f585a4f56ull,
       {124, 116, 104, 124, 116, 104, 124, 116, 104, 124, 116, 104, 124, 116, 104, 124, 116, 104, 124, 116,
        104, 124, 116, 104, 124, 116, 104, 124, 116, 104, 53,  86,  181, 88,  106, 136, 229, 137, 152, 179,
        68,  169, 181, 206, 96,  194, 203, 224, 107, 202, 209, 231, 111, 203, 206, 221, 98,  238, 192, 204}},
  };
  return cases;
}

TEST(Affine, HasPillowsBytes) {
  for (const PillowCase& c : pillow_cases()) {
    vit::Image small = picture(4, 5), large = picture(61, 83);
    c.run(small);
    c.run(large);
    EXPECT_EQ(bytes_of(small), c.expected) << c.name;
    EXPECT_EQ(hash_of(large), c.hash) << c.name;
  }
}

TEST(Affine, IdentityAndFullTurnsChangeNothing) {
  const vit::Image image = picture(9, 7);
  for (const vit::Filter filter : {vit::Filter::kBilinear, vit::Filter::kBicubic}) {
    EXPECT_EQ(bytes_of(affine(image, {1, 0, 0, 0, 1, 0}, filter, kFill)), bytes_of(image));
    EXPECT_EQ(bytes_of(rotated(image, 360, filter, kFill)), bytes_of(image));
    EXPECT_EQ(bytes_of(rotated(rotated(image, 180, filter, kFill), 180, filter, kFill)), bytes_of(image));
  }
}

TEST(Affine, WhatIsMovedOutLeavesTheFill) {
  const vit::Image image = affine(picture(4, 4), {1, 0, 100, 0, 1, 0}, vit::Filter::kBicubic, kFill);
  for (int i = 0; i < 48; ++i) EXPECT_EQ(image.row(0)[i], kFill[static_cast<size_t>(i % 3)]);
}

TEST(Affine, RefusesOtherFilters) {
  EXPECT_THAT(vit::test::failure([] {
                affine(picture(4, 4), {1, 0, 0, 0, 1, 0}, vit::Filter::kLanczos, kFill);
              }),
              testing::HasSubstr("bilinear or bicubic, got lanczos"));
}

}  // namespace
}  // namespace datasets
