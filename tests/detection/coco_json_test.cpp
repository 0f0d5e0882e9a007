#include "detection/coco_json.h"

#include <gtest/gtest.h>

#include "datasets/scenes.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace detection {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using vit::test::TempDir;
using vit::test::usage_error;

constexpr const char* kTruth = R"({
 "info": {"year": 2026}, "licenses": [],
 "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 3, "file_name": "b.jpg"}],
 "annotations": [
  {"id": 1, "image_id": 7, "category_id": 18, "bbox": [1, 2, 3.5, 4], "area": 9.25, "iscrowd": 0,
   "segmentation": [[1, 2, 3, 4]]},
  {"id": 2, "image_id": 3, "category_id": 2, "bbox": [0, 0, 10, 10], "iscrowd": true,
   "segmentation": {"counts": [1, 2], "size": [5, 5]}}],
 "categories": [{"id": 2, "name": "cat"}, {"id": 18, "name": "dog"}]})";

std::string with(const std::string& from, const std::string& to) {
  std::string text = kTruth;
  return text.replace(text.find(from), from.size(), to);
}

TEST(CocoJson, ReadsAnnotations) {
  const TempDir dir;
  const CocoTruthFile file = read_coco_truth(dir.write("truth.json", kTruth));
  EXPECT_EQ(file.truth.images, (std::vector<int64_t>{7, 3}));
  EXPECT_EQ(file.truth.categories, (std::vector<int64_t>{2, 18}));
  EXPECT_EQ(file.truth.names, (std::vector<std::string>{"cat", "dog"}));
  ASSERT_EQ(file.truth.objects.size(), 2u);
  EXPECT_EQ(file.truth.objects[0].box, (CocoBox{1, 2, 3.5, 4}));
  EXPECT_EQ(file.truth.objects[0].area, 9.25);
  EXPECT_FALSE(file.truth.objects[0].crowd);
  EXPECT_EQ(file.truth.objects[1].area, 100.0) << "of the box where the file has none";
  EXPECT_TRUE(file.truth.objects[1].crowd);
  EXPECT_TRUE(file.oddities.empty());
}

TEST(CocoJson, AnnotationsOfNoImageOrCategoryAreLeftOutAndToldOf) {
  const TempDir dir;
  const CocoTruthFile image = read_coco_truth(dir.write("image.json", with("\"image_id\": 3", "\"image_id\": 99")));
  ASSERT_EQ(image.truth.objects.size(), 1u);
  ASSERT_EQ(image.oddities.size(), 1u);
  EXPECT_EQ(image.oddities[0].where, "annotation 2");
  EXPECT_EQ(image.oddities[0].reason, "image 99 is not in the file");
  const CocoTruthFile category =
      read_coco_truth(dir.write("category.json", with("\"category_id\": 2,", "\"category_id\": 91,")));
  EXPECT_EQ(category.truth.objects.size(), 1u);
  EXPECT_EQ(category.oddities.at(0).reason, "category 91 is not in the file");
  const CocoTruthFile zero = read_coco_truth(dir.write("zero.json", with("\"id\": 1,", "\"id\": 0,")));
  EXPECT_EQ(zero.truth.objects.size(), 2u);
  EXPECT_THAT(zero.oddities.at(0).reason, HasSubstr("number annotations from 1"));
  EXPECT_EQ(read_coco_truth(dir.write("twice.json", with("\"id\": 1,", "\"id\": 2,"))).oddities.at(0).reason,
            "the id stands twice");
  for (const char* box : {"[1, 2, 3.5]", "[1, NaN, 3.5, 4]"}) {
    const CocoTruthFile odd = read_coco_truth(dir.write("box.json", with("[1, 2, 3.5, 4]", box)));
    EXPECT_EQ(odd.truth.objects.size(), 1u);
    EXPECT_THAT(odd.oddities.at(0).reason, HasSubstr("four finite numbers"));
  }
}

TEST(CocoJson, TruthOfADataSetOfAnyFormat) {
  const datasets::ScenesDataset scenes(3, 4, 64);
  const CocoTruth truth = coco_truth(scenes);
  EXPECT_EQ(truth.images, (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(truth.names, scenes.class_names());
  size_t objects = 0;
  for (int64_t i = 0; i < 4; ++i) objects += scenes.boxes(i).size();
  EXPECT_EQ(truth.objects.size(), objects);
  EXPECT_EQ(corners_of(truth.objects.front().box), scenes.boxes(0).front().box);
}

TEST(CocoJson, DetectionsAreWrittenAndReadBackExactly) {
  const TempDir dir;
  const std::vector<CocoDetection> all = {{100, 18, {0.1, 1.0 / 3.0, 1e-7, 4096}, 0.7000000000000001},
                                          {-3, 2, {-5, -2.5, 10, 10}, 1}};
  write_coco_detections(dir / "detections.json", all);
  const std::vector<CocoDetection> read = read_coco_detections(dir / "detections.json");
  ASSERT_EQ(read.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(read[i].image, all[i].image);
    EXPECT_EQ(read[i].category, all[i].category);
    EXPECT_EQ(read[i].box, all[i].box);
    EXPECT_EQ(read[i].score, all[i].score);
  }
  write_coco_detections(dir / "none.json", {});
  EXPECT_TRUE(read_coco_detections(dir / "none.json").empty());
}

TEST(CocoJson, DamagedFilesAreRefusedWithTheirPlace) {
  const TempDir dir;
  const auto truth = [&](const std::string& text) {
    return usage_error([&] { read_coco_truth(dir.write("f.json", text)); });
  };
  const auto detections = [&](const std::string& text) {
    return usage_error([&] { read_coco_detections(dir.write("f.json", text)); });
  };
  EXPECT_THAT(truth(with("\"annotations\"", "\"notes\"")), HasSubstr("annotations"));
  EXPECT_THAT(truth("[]"), HasSubstr("f.json"));
  EXPECT_THAT(truth(with("\"id\": 7, ", "")), HasSubstr("images[0].id: expected a whole number"));
  EXPECT_THAT(truth(std::string(kTruth).substr(0, 300)), HasSubstr("not JSON"));
  EXPECT_THAT(truth(""), HasSubstr("not JSON"));
  EXPECT_THAT(detections(kTruth), HasSubstr("expected a list of detections"));
  EXPECT_THAT(detections("[{\"image_id\": 1, \"category_id\": 1, \"bbox\": [0, 0, 1, 1]}]"),
              HasSubstr("f.json: [0]: score"));
  EXPECT_THAT(detections("[17]"), HasSubstr("expected a list of detections"));
  EXPECT_THAT(detections("3"), HasSubstr("expected a list or an object"));
  EXPECT_THAT(usage_error([&] { read_coco_detections(dir / "missing.json"); }), HasSubstr("missing.json"));
  EXPECT_THAT(usage_error([&] { read_coco_detections(dir.path()); }), HasSubstr("a folder"));
}

}  // namespace
}  // namespace detection
