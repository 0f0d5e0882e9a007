#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>

#include "datasets/box_dataset.h"
#include "datasets/coco_file.h"
#include "datasets/coco_write.h"
#include "datasets/open.h"
#include "tests/datasets/shared_set.h"
#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using vit::test::TempDir;
using vit::test::usage_error;

constexpr const char* kCategories =
    R"([{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}, {"id": 90, "name": "owl"}])";

/// A file with two pictures of 40 x 30 pixels; `annotations` without the brackets.
std::string coco(const std::string& annotations, const std::string& categories = kCategories) {
  return R"({"info": {"description": "x"}, "images": [{"id": 11, "file_name": "a.jpg", "width": 40, "height": 30},)"
         R"({"id": 5, "file_name": "b.jpg", "width": 40, "height": 30}], "annotations": [)" +
         annotations + R"(], "categories": )" + categories + "}";
}

std::string annotation(int64_t id, const std::string& bbox, int64_t image = 11, int64_t category = 3) {
  return vit::str(R"({"id": )", id, R"(, "image_id": )", image, R"(, "category_id": )", category, R"(, "bbox": )", bbox,
                  "}");
}

void write_pictures(const TempDir& dir, const std::string& folder) {
  const std::string jpeg = vit::test::encode_jpeg(vit::test::pattern(30, 40));
  dir.write(folder + "a.jpg", jpeg);
  dir.write(folder + "b.jpg", jpeg);
}

std::shared_ptr<const BoxDataset> open_boxes(const std::string& spec, const std::string& split = {}) {
  return require_boxes(open_dataset(spec, {.split = split}).data, spec);
}

TEST(Coco, ReadsBoxesCrowdsAndCategoriesWithGaps) {
  const TempDir dir;
  write_pictures(dir, "");
  const std::string path =
      dir.write(
             "set.json",
             coco(annotation(1, "[1, 2, 10.5, 20]") + R"(, {"segmentation": {"counts": [1, 2], "size": [30, 40]},)" +
                  R"("iscrowd": 1, "area": 12.5, "image_id": 11, "bbox": [0, 0, 40, 30], "category_id": 90, "id": 9,)" +
                  R"("track_id": 4})"))
          .string();
  const auto data = open_boxes(path);
  EXPECT_THAT(data->class_names(), ElementsAre("dog", "cat", "owl")) << "in the order of ids; cat never occurs";
  EXPECT_THAT(data->category_ids(), ElementsAre(3, 7, 90));
  ASSERT_EQ(data->size(), 2);
  EXPECT_EQ(data->image_id(0), 11);
  EXPECT_EQ(data->picture_size(0), (vit::Extent{30, 40}));
  EXPECT_EQ(data->load(1).width(), 40);
  const std::vector<BoxAnnotation> boxes = data->boxes(0);
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_THAT(boxes[0].box, ElementsAre(1, 2, 11.5, 22));
  EXPECT_EQ(boxes[0].label, 0);
  EXPECT_EQ(boxes[0].area, 210.0);
  EXPECT_FALSE(boxes[0].crowd);
  EXPECT_EQ(boxes[1].label, 2);
  EXPECT_TRUE(boxes[1].crowd);
  EXPECT_EQ(boxes[1].area, 12.5);
  EXPECT_EQ(boxes[1].id, 9);
  EXPECT_EQ(boxes[1].track, 4);
  EXPECT_THAT(data->boxes(1), IsEmpty());
  EXPECT_EQ(data->label(1), -1);
  EXPECT_THAT(data->bad_boxes(), IsEmpty());
}

struct Layout {
  const char *name, *json, *pictures, *split;
};

class CocoLayout : public testing::TestWithParam<Layout> {};

TEST_P(CocoLayout, IsRecognisedAndItsPicturesAreFound) {
  const TempDir dir;
  const std::string json = GetParam().json, pictures = GetParam().pictures, split = GetParam().split;
  dir.write(json, coco(annotation(1, "[1, 2, 10, 20]")));
  write_pictures(dir, pictures);
  const std::string path = dir.path().string();
  if (split.empty())
    EXPECT_THAT(dataset_splits(path), IsEmpty());
  else
    EXPECT_THAT(dataset_splits(path), ElementsAre(split));
  const OpenedDataset opened = open_dataset(path, {.split = split});
  EXPECT_EQ(opened.format, "coco");
  EXPECT_EQ(opened.split, split);
  EXPECT_EQ(opened.data->load(0).height(), 30);
  EXPECT_EQ(opened.data->source(1), (dir / (pictures + "b.jpg")).string());
}

INSTANTIATE_TEST_SUITE_P(All, CocoLayout,
                         testing::Values(Layout{"Coco", "annotations/instances_train2017.json", "train2017/", "train"},
                                         Layout{"CocoImages", "annotations/instances_val.json", "images/val/", "val"},
                                         Layout{"NoSplit", "annotations/instances.json", "images/", ""},
                                         Layout{"Beside", "val.json", "JPEGImages/", "val"},
                                         Layout{"Roboflow", "valid/_annotations.coco.json", "valid/", "valid"},
                                         Layout{"Alone", "_annotations.coco.json", "", ""},
                                         Layout{"FiftyOne", "labels.json", "data/", ""}),
                         [](const auto& instance) { return instance.param.name; });

TEST(Coco, ChoosesAmongSplits) {
  const TempDir dir;
  dir.write("annotations/instances_val2017.json", coco(annotation(1, "[1, 2, 10, 20]")));
  dir.write("annotations/instances_train2017.json", coco(annotation(1, "[1, 2, 10, 20], \"x\": 1")));
  dir.write("annotations/captions_val2017.json", coco(""));
  dir.write("annotations/person_keypoints_val2017.json", coco(""));
  write_pictures(dir, "val2017/");
  write_pictures(dir, "train2017/");
  EXPECT_THAT(dataset_splits(dir.path().string()), ElementsAre("train", "val"));
  EXPECT_EQ(open_dataset(dir.path().string()).split, "val");
  EXPECT_EQ(open_dataset(dir.path().string(), {.split = "training"}).data->source(0),
            (dir / "train2017/a.jpg").string());
  dir.write("annotations/instances_val2014.json", coco(""));
  EXPECT_THAT(usage_error([&] { open_dataset(dir.path().string()); }), HasSubstr("are both the split val"));
}

TEST(Coco, ReportsBoxesThatCannotBeUsedAndRepairsWhatRemains) {
  const TempDir dir;
  write_pictures(dir, "");
  const std::string all = annotation(1, "[NaN, 2, 10, 20]") + "," + annotation(2, "[1, 2, 0, 20]") + "," +
                          annotation(3, "[5, 2, -3, 20]") + "," + annotation(4, "[50, 2, 10, 20]") + "," +
                          annotation(5, "[30, 20, 100, 100]") + "," + annotation(6, "[1, 2, 3, 4]", 11, 91) + "," +
                          annotation(7, "[1, 2, 3, 4]", 99) + "," + annotation(8, "[1, 2, 3]") + "," +
                          annotation(9, "[]") + "," + annotation(10, "[1, 2, Infinity, 4]") + "," +
                          annotation(5, "[1, 2, 3, 4]", 5) + "," + annotation(12, "[30, 20, 10.3, 10.4]", 5) + "," +
                          annotation(13, "[1, \"two\", 3, 4]") + R"(,{"image_id": 11, "bbox": [1, 2, 3, 4]})";
  const auto data = open_boxes(dir.write("set.json", coco(all)).string());
  std::vector<std::string> reasons;
  for (const BadBox& bad : data->bad_boxes()) reasons.push_back(bad.reason);
  EXPECT_THAT(reasons, ElementsAre(HasSubstr("not a number"), HasSubstr("no area"), HasSubstr("swapped"),
                                   HasSubstr("outside the picture of 40 x 30"), HasSubstr("reaches outside"),
                                   "unknown category 91", "there is no picture 99", HasSubstr("bbox has 3 numbers"),
                                   HasSubstr("bbox has 0 numbers"), HasSubstr("not a number"), "the id 5 stands twice",
                                   HasSubstr("not a number"), "no category_id"));
  EXPECT_THAT(data->bad_boxes()[4].source, HasSubstr("a.jpg"));
  EXPECT_THAT(data->bad_boxes()[4].source, HasSubstr("annotation 5"));
  ASSERT_EQ(data->boxes(0).size(), 1u) << "the one that reached outside";
  EXPECT_THAT(data->boxes(0)[0].box, ElementsAre(30, 20, 40, 30));
  EXPECT_TRUE(data->bad_boxes()[4].repaired);
  EXPECT_FALSE(data->bad_boxes()[5].repaired);
  ASSERT_EQ(data->boxes(1).size(), 2u) << "rounding is no fault";
  EXPECT_THAT(data->boxes(1)[1].box, ElementsAre(30, 20, 40, 30));
}

TEST(Coco, RefusesWhatIsNoCocoFile) {
  const auto error = [](const std::string& text) { return usage_error([&] { parse_coco(text, "x.json"); }); };
  EXPECT_THAT(error(R"({"images": [)"), HasSubstr("x.json: not JSON: byte"));
  EXPECT_THAT(error(""), HasSubstr("not JSON"));
  EXPECT_THAT(error("[1, 2]"), HasSubstr("expected an object"));
  EXPECT_THAT(error("7"), HasSubstr("expected an object"));
  EXPECT_THAT(error(R"({"annotations": [], "categories": []})"), HasSubstr("images: expected a list"));
  EXPECT_THAT(error(R"({"images": [], "annotations": []})"), HasSubstr("categories: expected a list"));
  EXPECT_THAT(error(R"({"images": {"id": 1}, "annotations": [], "categories": []})"), HasSubstr("images: expected"));
  // Odd shapes are skipped, not followed.
  const CocoFile odd =
      parse_coco(R"({"images": [[{"id": 1}], 3, {"id": {"x": 1}}], "annotations": [{"bbox": [[1], {"a": 2}, 3, 4]}],
                                     "categories": [null, {"id": "12", "name": "n"}]})",
                 "x.json");
  ASSERT_EQ(odd.images.size(), 1u);
  EXPECT_FALSE(odd.images[0].id);
  ASSERT_EQ(odd.annotations.size(), 1u);
  EXPECT_EQ(odd.annotations[0].numbers, 4);
  EXPECT_TRUE(std::isnan(odd.annotations[0].bbox[0]));
  EXPECT_EQ(odd.categories.at(0).id, 12);
}

TEST(CocoWriter, WritesWhatIsReadBack) {
  const TempDir dir;
  write_pictures(dir, "sub/");
  CocoWriter writer({"dog", "cat \"x\""});
  std::vector<BoxAnnotation> boxes(2, {.box = {1.5, 2, 11, 22.25}, .label = 1, .area = 7.5, .track = 3});
  boxes[1].difficult = true;
  writer.add("sub/a.jpg", {30, 40}, boxes);
  writer.add("sub/b.jpg", {30, 40}, {});
  writer.write(dir / "_annotations.coco.json");
  const auto data = open_boxes(dir.path().string());
  EXPECT_THAT(data->class_names(), ElementsAre("dog", "cat \"x\""));
  ASSERT_EQ(data->size(), 2);
  const std::vector<BoxAnnotation> read = data->boxes(0);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].box, boxes[0].box);
  EXPECT_EQ(read[0].label, 1);
  EXPECT_EQ(read[0].area, 7.5);
  EXPECT_EQ(read[0].track, 3);
  EXPECT_FALSE(read[0].crowd);
  EXPECT_TRUE(read[1].crowd) << "difficult: not demanded";
  EXPECT_THAT(vit::test::failure([&] { writer.add("x", {1, 1}, {{.label = 2}}); }), HasSubstr("class 2 of 2"));
}

TEST(Coco, SurvivesDeepNesting) {
  const std::string deep(2'000'000, '[');
  EXPECT_THAT(usage_error([&] { parse_coco(R"({"images": )" + deep, "x.json"); }), HasSubstr("not JSON"));
}

TEST(Coco, RefusesWhatCannotBeToldApart) {
  const TempDir dir;
  write_pictures(dir, "");
  const auto error = [&](const std::string& text) {
    const std::string path = dir.write("set.json", text).string();
    return usage_error([&] { open_dataset(path); });
  };
  EXPECT_THAT(error(coco("", R"([{"id": 1, "name": "a"}, {"id": 1, "name": "b"}])")), HasSubstr("have the same id, 1"));
  EXPECT_THAT(error(coco("", "[]")), HasSubstr("categories: the list is empty"));
  EXPECT_THAT(error(coco("", R"([{"name": "a"}])")), HasSubstr("categories[0].id"));
  EXPECT_THAT(error(R"({"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}],
                        "annotations": [], "categories": [{"id": 1, "name": "a"}]})"),
              HasSubstr("a.jpg and b.jpg have the same id, 1"));
  EXPECT_THAT(
      error(R"({"images": [{"id": 1, "file_name": "no.jpg"}], "annotations": [],
                        "categories": [{"id": 1, "name": "a"}]})"),
      testing::AllOf(HasSubstr("none of its 1 pictures is there, beginning with no.jpg"), HasSubstr("looked in")));
}

TEST(Coco, KeepsAMissingPictureAsOneThatCannotBeRead) {
  const TempDir dir;
  dir.write("a.jpg", vit::test::encode_jpeg(vit::test::pattern(30, 40)));
  const auto data = open_boxes(dir.write("set.json", coco(annotation(1, "[1, 2, 3, 4]"))).string());
  EXPECT_EQ(data->load(0).width(), 40);
  EXPECT_THROW(data->load(1), vit::Error);
}

TEST(Coco, TakesSizesFromPicturesWhereTheFileHasNone) {
  const TempDir dir;
  write_pictures(dir, "");
  const auto data = open_boxes(dir.write("set.json", R"({"images": [{"id": 1, "file_name": "a.jpg"}],
      "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [30, 20, 100, 100]}],
      "categories": [{"id": 1, "name": "a"}]})")
                                   .string());
  EXPECT_EQ(data->picture_size(0), (vit::Extent{30, 40}));
  EXPECT_THAT(data->boxes(0).at(0).box, ElementsAre(30, 20, 40, 30));
  EXPECT_EQ(data->bad_boxes().size(), 1u);
}

TEST(Coco, SaysThatThereIsNothingToTrainOn) {
  const TempDir dir;
  write_pictures(dir, "");
  const std::string path = dir.write("set.json", coco(annotation(1, "[1, 2, 0, 0]"))).string();
  EXPECT_THAT(usage_error([&] { open_boxes(path); }),
              HasSubstr("there is no box in the whole set (2 pictures, 1 boxes"));
}

TEST(Coco, ReadsCoco128) {
  const test::SharedSet set("coco128.tar");
  if (!set.is_there()) GTEST_SKIP() << "../shared is not there";
  const auto data = open_boxes(set.path());
  EXPECT_EQ(data->size(), 128);
  int64_t boxes = 0, crowds = 0;
  for (int64_t i = 0; i < data->size(); ++i)
    for (const BoxAnnotation& box : data->boxes(i)) {
      ++boxes;
      crowds += box.crowd ? 1 : 0;
    }
  EXPECT_EQ(boxes, 939);
  EXPECT_GT(crowds, 0);
  EXPECT_THAT(data->bad_boxes(), IsEmpty());
  EXPECT_EQ(data->category_ids().back(), 90);
}

}  // namespace
}  // namespace datasets
