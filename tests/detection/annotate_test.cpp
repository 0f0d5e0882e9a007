#include "detection/annotate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/support/errors.h"
#include "vit/image/canvas.h"
#include "vit/models/labels.h"

namespace detection {
namespace {

using vit::Color;
using vit::Image;

const vit::ClassLabels& names() {
  static const vit::ClassLabels labels = vit::ClassLabels::from_names({"cat", "dog", "a class with a very long name"});
  return labels;
}

Image grey(int64_t height, int64_t width) {
  Image image(height, width);
  std::memset(image.row(0), 128, static_cast<size_t>(image.pixels.nbytes()));
  return image;
}

Color pixel(const Image& image, int64_t y, int64_t x) {
  const uint8_t* at = image.row(y) + 3 * x;
  return {at[0], at[1], at[2]};
}

int64_t changed_pixels(const Image& a, const Image& b) {
  int64_t count = 0;
  for (int64_t y = 0; y < a.height(); ++y)
    for (int64_t x = 0; x < a.width(); ++x) count += pixel(a, y, x) == pixel(b, y, x) ? 0 : 1;
  return count;
}

TrackedDetection found(int64_t index, double score, const vit::Corners& box, int64_t track = -1) {
  return {{.index = index, .score = score, .box = box}, track};
}

TEST(Annotate, DrawsBoxesInTheirClassColourAndLeavesThePictureAlone) {
  const Image picture = grey(240, 320), before(picture.pixels.clone());
  const Image drawn =
      annotate(picture, {found(0, 0.9, {40, 60, 140, 200}), found(1, 0.8, {200, 60, 300, 200})}, names());
  EXPECT_EQ(changed_pixels(picture, before), 0);
  EXPECT_EQ(pixel(drawn, 130, 40), vit::palette_color(0));
  EXPECT_EQ(pixel(drawn, 199, 90), vit::palette_color(0));
  EXPECT_EQ(pixel(drawn, 130, 200), vit::palette_color(1));
  EXPECT_EQ(pixel(drawn, 130, 90), (Color{128, 128, 128})) << "boxes are not filled";
}

TEST(Annotate, TracksHaveColoursOfTheirOwn) {
  const Image drawn = annotate(grey(240, 320), {found(0, 0.9, {40, 60, 140, 200}, 3)}, names());
  EXPECT_EQ(pixel(drawn, 130, 40), vit::palette_color(3));
}

TEST(Annotate, LabelsStayInsideThePicture) {
  // Boxes at every edge, beyond it, and as large as the picture: a label's plate is always seen.
  for (const vit::Corners& box :
       {vit::Corners{0, 0, 60, 40}, vit::Corners{-50, -50, 30, 30}, vit::Corners{280, 200, 320, 240},
        vit::Corners{300, 220, 900, 900}, vit::Corners{0, 0, 320, 240}, vit::Corners{-1e6, -1e6, 1e6, 1e6}}) {
    const Image plain = annotate(grey(240, 320), {found(2, 0.9, box)}, names(), {}, {.labels = false, .scores = false});
    const Image labelled = annotate(grey(240, 320), {found(2, 0.9, box)}, names());
    EXPECT_GT(changed_pixels(plain, labelled), 500) << box[0] << " " << box[1];
  }
}

TEST(Annotate, LabelsOfEqualBoxesDoNotHideOneAnother) {
  const vit::Corners box = {80, 80, 240, 200};
  const auto plates = [&](int64_t count) {
    std::vector<TrackedDetection> all;
    for (int64_t i = 0; i < count; ++i) all.push_back(found(0, 0.9 - 0.1 * static_cast<double>(i), box));
    const Image plain = annotate(grey(240, 320), all, names(), {}, {.labels = false, .scores = false});
    return changed_pixels(plain, annotate(grey(240, 320), all, names()));
  };
  const int64_t one = plates(1);
  for (const int64_t count : {2, 4}) {
    // Up to the letters' differing pixels and the box lines below a plate.
    EXPECT_GT(plates(count), static_cast<int64_t>(0.85 * static_cast<double>(count * one))) << count;
  }
}

TEST(Annotate, SizesFollowThePicture) {
  const auto line_width = [](int64_t height, int64_t width) {
    const auto h = static_cast<double>(height), w = static_cast<double>(width);
    const Image drawn = annotate(grey(height, width), {found(0, 0.9, {0.2 * w, 0.2 * h, 0.8 * w, 0.8 * h})}, names(),
                                 {}, {.labels = false, .scores = false});
    int64_t count = 0;
    for (int64_t x = 0; x < width / 2; ++x) count += pixel(drawn, height / 2, x) == vit::palette_color(0) ? 1 : 0;
    return count;
  };
  EXPECT_LE(line_width(64, 64), 1);
  EXPECT_EQ(line_width(480, 640), 2);
  EXPECT_GE(line_width(1920, 2560), 7);
}

TEST(Annotate, WhatCannotBeSeenIsNotDrawn) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  const Image picture = grey(100, 100);
  for (const vit::Corners& box :
       {vit::Corners{200, 200, 300, 300}, vit::Corners{50, 50, 50, 90}, vit::Corners{60, 60, 40, 40},
        vit::Corners{nan, 0, 10, 10}, vit::Corners{-inf, 0, inf, 10}})
    EXPECT_EQ(changed_pixels(annotate(picture, {found(0, 0.9, box)}, names()), picture), 0);
}

TEST(Annotate, TinyPicturesAreNoError) {
  for (const int64_t side : {1, 2, 7, 20})
    EXPECT_EQ(annotate(grey(side, side), {found(2, 0.99, {0, 0, 5, 5}, 12)}, names()).height(), side);
}

TEST(Annotate, DrawsTailsAndForgetsTracksThatAreGone) {
  TrackTails tails(5);
  std::vector<vit::Path> paths;
  for (int i = 0; i < 8; ++i) {
    const double x = 10.0 + 20.0 * i;
    paths = tails.update({found(0, 0.9, {x, 100, x + 20, 120}, 4), found(0, 0.9, {0, 0, 9, 9})});
  }
  ASSERT_EQ(paths.size(), 2u);
  ASSERT_EQ(paths[0].size(), 5u);
  EXPECT_FLOAT_EQ(paths[0].back().x, 160.0f);
  EXPECT_FLOAT_EQ(paths[0].front().x, 80.0f);
  EXPECT_TRUE(paths[1].empty()) << "no track, no tail";
  const std::vector<TrackedDetection> now = {found(0, 0.9, {150, 100, 170, 120}, 4)};
  const Image with = annotate(grey(240, 320), now, names(), {paths[0]}),
              without = annotate(grey(240, 320), now, names());
  EXPECT_NE(pixel(with, 110, 100), pixel(without, 110, 100));
  for (int i = 0; i < 5; ++i) tails.update({});
  EXPECT_EQ(tails.update(now)[0].size(), 1u) << "the track had been forgotten";
}

TEST(Annotate, RefusesWhatDoesNotFit) {
  EXPECT_THAT(vit::test::failure([] { annotate(Image(), {}, names()); }), testing::HasSubstr("undefined"));
  EXPECT_THAT(vit::test::failure([] { annotate(grey(9, 9), {}, names(), {vit::Path{}}); }),
              testing::HasSubstr("1 tails"));
  EXPECT_THROW(annotate(grey(50, 50), {found(7, 0.9, {0, 0, 20, 20})}, names()), vit::Error);
}

}  // namespace
}  // namespace detection
