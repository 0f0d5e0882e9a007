#include "datasets/box_transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "datasets/box_augment.h"
#include "tests/datasets/box_pictures.h"
#include "tests/support/errors.h"

namespace datasets {
namespace {

using test::PaintedDataset;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Colour kGrey = {100, 100, 100};

BoxSample sample_of(const PaintedDataset& data, int64_t index) { return {data.load(index), data.boxes(index)}; }

/// Pixels of the class's own colour: its channel far above the others.
vit::Corners extent_of(const vit::Image& image, int64_t label, const vit::Corners& near, double margin) {
  vit::Corners found{1e9, 1e9, -1e9, -1e9};
  for (int64_t y = 0; y < image.height(); ++y)
    for (int64_t x = 0; x < image.width(); ++x) {
      const uint8_t* pixel = image.row(y) + 3 * x;
      const int other = std::max(pixel[(label + 1) % 3], pixel[(label + 2) % 3]);
      const auto left = static_cast<double>(x), top = static_cast<double>(y);
      const bool is_near = left + 1.0 > near[0] - margin && left < near[2] + margin && top + 1.0 > near[1] - margin &&
                           top < near[3] + margin;
      if (!is_near || pixel[label] < other + 100) continue;
      found = {std::min(found[0], left), std::min(found[1], top), std::max(found[2], left + 1.0),
               std::max(found[3], top + 1.0)};
    }
  return found;
}

/// `margin`: how far around a box its colour is looked for; 0 where the next object may be of the same class.
void expect_boxes_on_pixels(const BoxSample& sample, const std::string& what, double margin = 2.0) {
  for (const BoxAnnotation& box : sample.boxes) {
    const vit::Corners seen = extent_of(sample.image, box.label, box.box, margin);
    for (size_t side = 0; side < 4; ++side)
      EXPECT_NEAR(box.box[side], seen[side], 1.6) << what << " class " << box.label << " side " << side;
    EXPECT_GE(box.box[0], 0.0);
    EXPECT_GE(box.box[1], 0.0);
    EXPECT_LE(box.box[2], static_cast<double>(sample.image.width()));
    EXPECT_LE(box.box[3], static_cast<double>(sample.image.height()));
    EXPECT_NEAR(box.area, vit::box_area(box.box), 0.3 * box.area + 30.0) << what;
  }
}

TEST(BoxTransform, MirrorsBoxesWithPixels) {
  const PaintedDataset data(4, 40, 60);
  for (int64_t i = 0; i < data.size(); ++i) {
    BoxSample sample = sample_of(data, i);
    flip_horizontal(sample);
    expect_boxes_on_pixels(sample, "horizontal");
    flip_vertical(sample);
    expect_boxes_on_pixels(sample, "both");
    flip_horizontal(sample);
    flip_vertical(sample);
    EXPECT_EQ(sample.boxes[0].box, data.boxes(i)[0].box) << "there and back";
  }
}

TEST(BoxTransform, DropsBoxesOfWhichLittleIsLeft) {
  const std::vector<BoxAnnotation> boxes = {{.box = {0, 0, 10, 10}, .area = 100}, {.box = {8, 0, 18, 10}, .area = 50}};
  const vit::Window window{0, 0, 20, 12};
  const auto half = boxes_within(boxes, window, {.min_visible = 0.5});
  ASSERT_EQ(half.size(), 1u);
  const auto tenth = boxes_within(boxes, window, {.min_visible = 0.1});
  ASSERT_EQ(tenth.size(), 2u);
  EXPECT_THAT(tenth[1].box, ElementsAre(8, 0, 12, 10));
  EXPECT_EQ(tenth[1].area, 20.0) << "the share of the mask that is assumed to be left";
  EXPECT_TRUE(boxes_within(boxes, {0, 12, 5, 5}, {.min_visible = 0.0}).size() == 1);
  EXPECT_TRUE(boxes_within(boxes, {0, 30, 5, 5}, {.min_visible = 0.0}).empty());
}

TEST(BoxTransform, FillsAroundAWindowThatReachesOutside) {
  const PaintedDataset data(1, 40, 60);
  const BoxSample sample = sample_of(data, 0);
  const BoxSample wide = window_of(sample, {-40, -60, 120, 180}, {}, kGrey);
  EXPECT_EQ(wide.image.height(), 40);
  EXPECT_EQ(wide.image.width(), 60);
  EXPECT_EQ(wide.image.row(0)[0], 100);
  ASSERT_EQ(wide.boxes.size(), 3u);
  expect_boxes_on_pixels(wide, "zoomed out");
  const BoxSample inside = window_of(sample, {5, 0, 30, 60}, {.min_visible = 0.0}, kGrey);
  EXPECT_EQ(inside.image.height(), 30);
  expect_boxes_on_pixels(inside, "cut");
  EXPECT_THAT(vit::test::failure([&] {
                vit::Image canvas(10, 10);
                std::vector<BoxAnnotation> boxes;
                place(sample, {{0, 0, 10, 10}, {0, 5, 10, 10}}, {}, canvas, boxes);
              }),
              HasSubstr("outside of the canvas"));
}

struct Augmentation {
  const char* name;
  void (*set)(BoxAugmentConfig&);
};

class BoxAugmentKinds : public testing::TestWithParam<Augmentation> {};

TEST_P(BoxAugmentKinds, MovesBoxesWithPixelsAndLeavesTheSourceAlone) {
  const PaintedDataset data(12, 48, 64, /*turned=*/true);
  BoxAugmentConfig config;
  config.hflip = config.crop = config.color_jitter = 0.0;
  GetParam().set(config);
  const BoxAugment augment(config, kGrey);
  int64_t boxes = 0, moved = 0;
  for (int64_t i = 0; i < data.size(); ++i) {
    const BoxSample source = sample_of(data, i);
    const vit::Tensor before = source.image.pixels.clone();
    vit::Rng rng(5, static_cast<uint64_t>(i));
    const BoxSample result = augment(source, rng, [&](vit::Rng& draw) -> std::optional<BoxSample> {
      const auto other = static_cast<int64_t>(draw.next_u32() % 13);
      if (other == 12) return std::nullopt;  // one that cannot be read
      return sample_of(data, other);
    });
    EXPECT_EQ(std::memcmp(before.raw(), source.image.pixels.raw(), static_cast<size_t>(before.nbytes())), 0);
    expect_boxes_on_pixels(result, GetParam().name, config.mosaic > 0.0 ? 0.0 : 2.0);
    boxes += static_cast<int64_t>(result.boxes.size());
    if (result.boxes.empty() || result.boxes[0].box != source.boxes[0].box) ++moved;
  }
  EXPECT_GT(boxes, 12) << "most objects survive";
  EXPECT_GT(moved, 3);
}

INSTANTIATE_TEST_SUITE_P(All, BoxAugmentKinds,
                         testing::Values(Augmentation{"hflip", [](BoxAugmentConfig& c) { c.hflip = 1.0; }},
                                         Augmentation{"vflip", [](BoxAugmentConfig& c) { c.vflip = 1.0; }},
                                         Augmentation{"crop", [](BoxAugmentConfig& c) { c.crop = 1.0; }},
                                         Augmentation{"iou_crop",
                                                      [](BoxAugmentConfig& c) {
                                                        c.crop = 1.0;
                                                        c.crop_mode = "iou";
                                                        c.crop_min = 0.3;
                                                      }},
                                         Augmentation{"zoom_out",
                                                      [](BoxAugmentConfig& c) {
                                                        c.zoom_out = 1.0;
                                                        c.zoom_out_max = 1.8;
                                                      }},
                                         Augmentation{"scale_jitter",
                                                      [](BoxAugmentConfig& c) {
                                                        c.scale_jitter = {0.6, 1.6};
                                                      }},
                                         Augmentation{"mosaic", [](BoxAugmentConfig& c) { c.mosaic = 1.0; }}),
                         [](const auto& instance) { return instance.param.name; });

TEST(BoxAugment, KeepsABoxWhenItCuts) {
  BoxAugmentConfig config;
  config.crop = 1.0;
  config.crop_min = 0.3;
  config.hflip = config.color_jitter = 0.0;
  const BoxAugment augment(config, kGrey);
  const BoxSample sample{filled_image(60, 60, kGrey), {{.box = {0, 0, 12, 12}, .area = 144}}};
  int kept = 0;
  for (uint64_t i = 0; i < 50; ++i) {
    vit::Rng rng(1, i);
    kept += augment(sample, rng).boxes.empty() ? 0 : 1;
  }
  EXPECT_EQ(kept, 50);
}

TEST(BoxAugment, DoesNothingWhereItIsOff) {
  BoxAugmentConfig config;
  config.no_aug = true;
  const PaintedDataset data(1, 20, 30);
  vit::Rng rng(1);
  const BoxSample result = BoxAugment(config, kGrey)(sample_of(data, 0), rng);
  EXPECT_EQ(result.boxes.size(), 3u);
  EXPECT_EQ(result.boxes[0].box, data.boxes(0)[0].box);
  config.scale_jitter = {2.0, 1.0};
  EXPECT_THAT(vit::test::usage_error([&] { config.validate(); }), HasSubstr("smallest, largest"));
}

}  // namespace
}  // namespace datasets
