#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "datasets/box_dataset.h"
#include "datasets/open.h"
#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"

namespace datasets {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using vit::test::TempDir;
using vit::test::usage_error;

void write_picture(const TempDir& dir, const std::string& path, int orientation = 0) {
  dir.write(path, vit::test::encode_jpeg(vit::test::pattern(30, 40), {.orientation = orientation}));
}

std::shared_ptr<const BoxDataset> open_boxes(const std::string& spec, const std::string& split = {}) {
  return require_boxes(open_dataset(spec, {.split = split}).data, spec);
}

auto near(double a, double b, double c, double d) {
  return ElementsAre(DoubleNear(a, 1e-9), DoubleNear(b, 1e-9), DoubleNear(c, 1e-9), DoubleNear(d, 1e-9));
}

TEST(Yolo, ReadsBoxesPolygonsAndPicturesWithoutObjects) {
  const TempDir dir;
  dir.write("data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: dog\n  1: cat\n");
  for (const char* name : {"images/train/a.jpg", "images/train/b.jpg", "images/val/c.jpg"}) write_picture(dir, name);
  write_picture(dir, "images/train/turned.jpg", /*orientation=*/6);
  dir.write("labels/train/a.txt", "1 0.5 0.5 0.5 0.2\r\n\n0 0.1 0.2 0.4 0.2 0.3 0.6\n");
  dir.write("labels/train/turned.txt", "1 0.5 0.5 1 1\n");
  const std::string path = dir.path().string();
  EXPECT_THAT(dataset_splits(path), ElementsAre("train", "val"));
  const OpenedDataset opened = open_dataset(path, {.split = "train"});
  EXPECT_EQ(opened.format, "yolo");
  const auto data = require_boxes(opened.data, path);
  EXPECT_THAT(data->class_names(), ElementsAre("dog", "cat"));
  ASSERT_EQ(data->size(), 3);
  const std::vector<BoxAnnotation> boxes = data->boxes(0);
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_THAT(boxes[0].box, near(10, 12, 30, 18));
  EXPECT_EQ(boxes[0].label, 1);
  EXPECT_NEAR(boxes[0].area, 120.0, 1e-9);
  EXPECT_THAT(boxes[1].box, near(4, 6, 16, 18)) << "around the polygon";
  EXPECT_THAT(data->boxes(1), IsEmpty());
  EXPECT_THAT(data->boxes(2).at(0).box, near(0, 0, 30, 40)) << "of the upright picture";
  EXPECT_THAT(data->bad_boxes(), IsEmpty());
  EXPECT_EQ(open_dataset("yolo:" + (dir / "data.yaml").string(), {.split = "val"}).data->size(), 1);
  EXPECT_TRUE(is_dataset((dir / "data.yaml").string()));
  EXPECT_FALSE(is_dataset(dir.write("train.yaml", "model: vit\ntrain_split: train\n").string()));
}

TEST(Yolo, APictureThatCannotBeReadLeavesTheOthersTheirs) {
  const TempDir dir;
  dir.write("data.yaml", "path: .\ntrain: images\nnames: [dog]\n");
  write_picture(dir, "images/a.jpg");
  dir.write("images/b.jpg", "no picture");
  dir.write("labels/a.txt", "0 0.5 0.5 0.5 0.2\n");
  dir.write("labels/b.txt", "0 0.5 0.5 0.5 0.2\n");
  const auto data = open_boxes(dir.path().string(), "train");
  ASSERT_EQ(data->size(), 2);
  EXPECT_EQ(data->boxes(0).size(), 1u);
  EXPECT_THAT(data->boxes(1), IsEmpty());
  EXPECT_THAT(vit::test::failure([&] { data->load(1); }), HasSubstr("b.jpg"));
}

TEST(Yolo, FindsPicturesInOtherLayouts) {
  const TempDir dir;
  // Roboflow: a list of names, "../train/images", and a folder called valid.
  dir.write("data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['dog']\n");
  write_picture(dir, "train/images/a.jpg");
  write_picture(dir, "valid/images/b.jpg");
  dir.write("valid/labels/b.txt", "0 0.5 0.5 0.5 0.5");
  EXPECT_EQ(open_boxes(dir.path().string(), "validation")->boxes(0).size(), 1u);

  // Lists of pictures; rows beside the pictures.
  const TempDir lists;
  lists.write("dataset.yaml", "path: nowhere\ntrain: [one.txt, two.txt]\nnames: [dog]\n");
  lists.write("one.txt", "./p/a.jpg\n");
  lists.write("two.txt", (lists / "p/b.jpg").string() + "\n");
  write_picture(lists, "p/a.jpg");
  write_picture(lists, "p/b.jpg");
  lists.write("p/b.txt", "0 0.5 0.5 0.5 0.5");
  const auto data = open_boxes(lists.path().string(), "train");
  ASSERT_EQ(data->size(), 2);
  EXPECT_EQ(data->boxes(1).size(), 1u);
}

TEST(Yolo, ReportsRowsThatCannotBeUsed) {
  const TempDir dir;
  dir.write("data.yaml", "train: images\nnames: [dog, cat]\n");
  write_picture(dir, "images/a.jpg");
  dir.write("labels/a.txt",
            "0 0.5 0.5\n2 0.5 0.5 0.1 0.1\n-1 0.5 0.5 0.1 0.1\n0.5 0.5 0.5 0.1 0.1\n0 nan 0.5 0.1 0.1\n"
            "0 0.5 0.5 0 0.1\n0 0.5 0.5 -0.1 0.1\n0 1.5 0.5 0.1 0.1\n0 320 240 50 60\n0 a b c d\n0 0.9 0.5 0.4 0.2\n"
            "0 0.5 0.5 0.1 0.1 0.9\n1 0.95 0.5 0.1003 0.2\n");
  const auto data = open_boxes(dir.path().string(), "train");
  std::vector<std::string> reasons;
  for (const BadBox& bad : data->bad_boxes()) reasons.push_back(bad.reason);
  EXPECT_THAT(reasons, ElementsAre(HasSubstr("expected a class and four numbers"), HasSubstr("class 2, but data.yaml"),
                                   HasSubstr("class -1"), HasSubstr("class 0.5"), HasSubstr("not a number"),
                                   HasSubstr("no area"), HasSubstr("swapped"), HasSubstr("outside the picture"),
                                   HasSubstr("not pixels"), HasSubstr("expected a class"), HasSubstr("reaches outside"),
                                   HasSubstr("expected a class and four numbers")));
  EXPECT_THAT(data->bad_boxes()[1].source, HasSubstr("a.txt:2"));
  ASSERT_EQ(data->boxes(0).size(), 2u);
  EXPECT_THAT(data->boxes(0)[0].box, near(28, 12, 40, 18)) << "clipped";
}

TEST(Yolo, SaysWhatIsWrongWithItsFile) {
  const TempDir dir;
  write_picture(dir, "images/a.jpg");
  const auto error = [&](const std::string& yaml, const std::string& split = "train") {
    dir.write("data.yaml", yaml);
    return usage_error([&] { open_dataset("yolo:" + dir.path().string(), {.split = split}); });
  };
  EXPECT_THAT(error("names: [dog]\n"), HasSubstr("there is no data.yaml"));
  EXPECT_THAT(error("train: nowhere\nnames: [dog]\n"), HasSubstr("train: nowhere is not there; looked for"));
  EXPECT_THAT(error("train: images\nnames: {0: dog, 2: cat}\n"), HasSubstr("expected the numbers 0 to 1, got '2'"));
  EXPECT_THAT(error("train: images\nnames: []\n"), HasSubstr("expected 1 to"));
  EXPECT_THAT(error("train: images\nnames: dog\n"), HasSubstr("names: expected a list"));
  EXPECT_THAT(error("train: images\nnames: [dog]\n", "val"), HasSubstr("there is no split val"));
}

}  // namespace
}  // namespace datasets
