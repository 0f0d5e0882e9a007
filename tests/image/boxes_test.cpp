#include "vit/image/boxes.h"

#include <gtest/gtest.h>

namespace vit {
namespace {

TEST(Boxes, CornersAndCentresAreTheSameBox) {
  const Corners box{1, 2, 5, 10};
  EXPECT_EQ(to_center(box), (CenterBox{3, 6, 4, 8}));
  EXPECT_EQ(to_corners(to_center(box)), box);
}

TEST(Boxes, OverlapOfKnownBoxes) {
  const Corners a{0, 0, 4, 4}, b{2, 2, 6, 6}, apart{10, 10, 12, 14};
  EXPECT_DOUBLE_EQ(intersection(a, b), 4.0);
  EXPECT_DOUBLE_EQ(box_iou(a, b), 4.0 / 28.0);
  EXPECT_DOUBLE_EQ(box_iou(a, a), 1.0);
  EXPECT_DOUBLE_EQ(box_iou(a, apart), 0.0);
  EXPECT_DOUBLE_EQ(generalized_iou(a, b), 4.0 / 28.0 - 8.0 / 36.0);
  EXPECT_DOUBLE_EQ(generalized_iou(a, apart), -(12.0 * 14.0 - 24.0) / (12.0 * 14.0));
}

TEST(Boxes, WithoutAreaNothingOverlaps) {
  const Corners line{1, 1, 1, 5}, inverted{4, 4, 2, 2};
  EXPECT_DOUBLE_EQ(box_area(line), 0.0);
  EXPECT_DOUBLE_EQ(box_area(inverted), 0.0);
  EXPECT_DOUBLE_EQ(box_iou(line, line), 0.0);
  EXPECT_DOUBLE_EQ(generalized_iou(line, line), 0.0);
}

TEST(Boxes, ClippedToThePicture) {
  EXPECT_EQ(clip_box({-2, 3, 20, 30}, 10, 12), (Corners{0, 3, 10, 12}));
  EXPECT_DOUBLE_EQ(box_area(clip_box({20, 20, 30, 30}, 10, 12)), 0.0);
}

}  // namespace
}  // namespace vit
