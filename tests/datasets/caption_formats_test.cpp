// COCO's captions, Karpathy's splits and tables: what is read, and what is said of what cannot be used.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "datasets/caption_dataset.h"
#include "datasets/data_config.h"
#include "datasets/doctor.h"
#include "datasets/fingerprint.h"
#include "datasets/label_check.h"
#include "datasets/open.h"
#include "datasets/scenes.h"
#include "datasets/split.h"
#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::test::TempDir;
using vit::test::usage_error;

void write_pictures(const TempDir& dir, const std::vector<std::string>& names) {
  int quality = 20;
  for (const std::string& name : names)
    dir.write(name, vit::test::encode_jpeg(vit::test::pattern(24, 32), {.quality = quality += 5}));
}

std::shared_ptr<const CaptionDataset> open_captions(const std::string& spec, const std::string& split = "") {
  return require_captions(open_dataset(spec, {.split = split}).data, spec);
}

/// "reason @ file name" of everything that is wrong.
std::vector<std::string> complaints(const CaptionDataset& data) {
  std::vector<std::string> all;
  for (const BadCaption& bad : data.bad_captions()) all.push_back(bad.reason + " @ " + bad.source);
  return all;
}

std::string coco(const std::string& annotations) {
  return R"({"info": {}, "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 3, "file_name": "b.jpg"},
             {"id": 9, "file_name": "gone.jpg"}, {"id": 12, "file_name": "c.jpg"}], "annotations": [)" +
         annotations + "]}";
}

TEST(CaptionFormats, ReadsCocoAndReportsWhatCannotBeUsed) {
  const TempDir dir;
  write_pictures(dir, {"val2017/a.jpg", "val2017/b.jpg", "val2017/c.jpg"});
  dir.write("annotations/captions_val2017.json",
            coco(R"({"id": 1, "image_id": 7, "caption": "  A cat\n sits. "}, {"id": 2, "image_id": 3, "caption": ""},
                    {"id": 3, "image_id": 3, "caption": "A dog."}, {"id": 4, "image_id": 3, "caption": 5},
                    {"id": 5, "image_id": 8, "caption": "Nobody."}, {"id": 6, "caption": "Nowhere."},
                    {"id": 7, "image_id": 9, "caption": "It is gone."}, {"id": 8, "image_id": 7, "caption": "Two."},
                    {"id": 9, "image_id": 7, "caption": "caf)" +
                 std::string("\xE9") + R"("})"));
  const std::string root = dir.path().string();
  EXPECT_EQ(open_dataset(root).format, "coco_captions");
  EXPECT_EQ(open_dataset(root).split, "val");
  const auto data = open_captions(root);
  ASSERT_EQ(data->size(), 2);
  EXPECT_THAT(data->source(0), HasSubstr("val2017/a.jpg"));
  EXPECT_THAT(data->captions(0), ElementsAre("A cat sits.", "Two."));
  EXPECT_THAT(data->captions(1), ElementsAre("A dog."));
  EXPECT_EQ(data->image_id(0), 7);
  EXPECT_EQ(data->image_id(1), 3);
  EXPECT_EQ(data->label(0), -1);
  EXPECT_EQ(data->load(0).width(), 32);
  const std::string where = "captions_val2017.json: annotation ";
  EXPECT_THAT(complaints(*data),
              ElementsAre(testing::AllOf(HasSubstr("empty caption @"), HasSubstr("b.jpg"), HasSubstr(where + "2")),
                          testing::AllOf(HasSubstr("no text under `caption` @"), HasSubstr(where + "4")),
                          testing::AllOf(HasSubstr("there is no picture 8 @"), HasSubstr(where + "5")),
                          testing::AllOf(HasSubstr("no image_id @"), HasSubstr(where + "6")),
                          testing::AllOf(HasSubstr("not UTF-8 @"), HasSubstr("a.jpg"), HasSubstr(where + "9")),
                          testing::AllOf(HasSubstr("no such picture, but 1 caption @"), HasSubstr("gone.jpg")),
                          testing::AllOf(HasSubstr("no captions @"), HasSubstr("c.jpg"))));
  // The file alone is the same.
  EXPECT_EQ(open_captions(root + "/annotations/captions_val2017.json")->size(), 2);
}

TEST(CaptionFormats, CocoWithInstancesBesideIsReadForWhatIsWanted) {
  const TempDir dir;
  write_pictures(dir, {"val2017/a.jpg", "val2017/b.jpg"});
  dir.write("annotations/captions_val2017.json", coco(R"({"image_id": 7, "caption": "A cat."})"));
  dir.write("annotations/instances_val2017.json",
            R"({"images": [{"id": 7, "file_name": "a.jpg", "width": 32, "height": 24}], "annotations":
                [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 1, 9, 9]}],
                "categories": [{"id": 1, "name": "cat"}]})");
  const std::string root = dir.path().string();
  EXPECT_EQ(open_dataset(root).format, "coco");
  EXPECT_EQ(caption_spec(root), "coco_captions:" + root);
  EXPECT_THAT(open_captions(caption_spec(root))->captions(0), ElementsAre("A cat."));
  EXPECT_EQ(caption_spec("scenes:1:4"), "scenes:1:4");
}

TEST(CaptionFormats, RefusesCocoFilesThatContradictThemselves) {
  const TempDir dir;
  write_pictures(dir, {"a.jpg"});
  const auto error_of = [&](const std::string& text) {
    const std::string path = dir.write("captions.json", text).string();
    return usage_error([&] { open_dataset("coco_captions:" + path); });
  };
  EXPECT_THAT(error_of("{\"images\": ["), HasSubstr("captions.json: not JSON: byte"));
  EXPECT_THAT(error_of(R"({"images": []})"), HasSubstr("annotations: expected a list"));
  EXPECT_THAT(error_of(R"({"images": [], "annotations": []})"), HasSubstr("images: the list is empty"));
  EXPECT_THAT(error_of(R"({"images": [{"file_name": "a.jpg"}], "annotations": []})"), HasSubstr("images[0].id"));
  EXPECT_THAT(error_of(R"({"images": [{"id": 1}], "annotations": []})"), HasSubstr("images[0].file_name"));
  EXPECT_THAT(error_of(R"({"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}],
                           "annotations": []})"),
              HasSubstr("have the same id, 1"));
  EXPECT_THAT(error_of(R"({"images": [{"id": 1, "file_name": "x.jpg"}], "annotations": []})"),
              HasSubstr("none of its 1 pictures is there, beginning with x.jpg"));
  EXPECT_THAT(error_of(R"({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": []})"),
              testing::AllOf(HasSubstr("no picture with a usable caption"), HasSubstr("a.jpg: no captions")));
}

TEST(CaptionFormats, ReadsKarpathysSplits) {
  const TempDir dir;
  write_pictures(dir, {"val2014/a.jpg", "val2014/b.jpg", "val2014/c.jpg", "val2014/d.jpg"});
  const auto picture = [](int id, const std::string& name, const std::string& split, const std::string& raw) {
    return R"({"sentids": [1], "imgid": )" + std::to_string(id) + R"(, "filepath": "val2014", "filename": ")" + name +
           R"(", "split": ")" + split + R"(", "sentences": [{"tokens": ["a"], "raw": ")" + raw +
           R"("}, {"raw": "x"}]})";
  };
  dir.write("dataset_tiny.json", R"({"images": [)" + picture(0, "a.jpg", "train", "A cat.") + "," +
                                     picture(1, "b.jpg", "restval", "A dog.") + "," + picture(2, "c.jpg", "val", " ") +
                                     "," + picture(3, "d.jpg", "test", "An owl.") + R"(], "dataset": "tiny"})");
  const std::string root = dir.path().string();
  EXPECT_EQ(open_dataset(root).format, "karpathy");
  EXPECT_THAT(dataset_splits(root), ElementsAre("train", "val", "test")) << "restval is part of train";
  EXPECT_EQ(open_captions(root, "train")->size(), 2);
  EXPECT_EQ(open_captions(root, "restval")->size(), 1);
  EXPECT_EQ(open_captions(root, "test")->image_id(0), 3);
  const auto val = open_captions(root);
  EXPECT_THAT(val->captions(0), ElementsAre("x"));
  EXPECT_THAT(complaints(*val), ElementsAre(HasSubstr("empty caption @")));
  EXPECT_THAT(usage_error([&] { open_dataset(root, {.split = "dev"}); }), HasSubstr("no split dev"));
}

TEST(CaptionFormats, ReadsTablesAsTheyAreAndReportsPicturesWithoutCaptions) {
  const TempDir dir;
  write_pictures(dir, {"images128/a.jpg", "images128/b.jpg", "images128/v.jpg", "images128/nobody.jpg"});
  dir.write("captions_train.tsv",
            "a.jpg\t\"Quoted\" cat\r\na.jpg\tA cat,\tand a tab\n\nb.jpg\t \nb.jpg\tcaf\xE9\ngone.jpg\tGone .\n");
  dir.write("captions_val.tsv", "v.jpg\tA val picture .\n");
  const std::string root = dir.path().string();
  EXPECT_EQ(open_dataset(root).format, "caption_table");
  EXPECT_THAT(dataset_splits(root), ElementsAre("train", "val"));
  const auto train = open_captions(root, "train");
  ASSERT_EQ(train->size(), 1);
  EXPECT_THAT(train->captions(0), ElementsAre("\"Quoted\" cat", "A cat, and a tab"));
  EXPECT_THAT(complaints(*train),
              ElementsAre(testing::AllOf(HasSubstr("empty caption @"), HasSubstr("captions_train.tsv:4")),
                          testing::AllOf(HasSubstr("not UTF-8 @"), HasSubstr("captions_train.tsv:5")),
                          HasSubstr("no such picture, but 1 caption @"),
                          testing::AllOf(HasSubstr("no captions @"), HasSubstr("b.jpg")),
                          testing::AllOf(HasSubstr("no captions @"), HasSubstr("nobody.jpg"))));
  EXPECT_EQ(open_captions(root)->size(), 1) << "val is what is evaluated on";
}

TEST(CaptionFormats, KnowsTheKindsOfTables) {
  const TempDir dir;
  write_pictures(dir, {"Flicker8k_Dataset/a.jpg"});
  const auto captions_of = [&](const char* name, const std::string& text) {
    const std::string path = dir.write(name, text).string();
    EXPECT_EQ(open_dataset(path).format, "caption_table") << name;
    return open_captions(path)->captions(0);
  };
  EXPECT_THAT(captions_of("Flickr8k.token.txt", "a.jpg#0\tOne .\na.jpg#1\tTwo ."), ElementsAre("One .", "Two ."));
  EXPECT_THAT(captions_of("texts.csv", "image,caption\na.jpg,\"A, b\"\na.jpg,c\n"), ElementsAre("A, b", "c"));
  EXPECT_THAT(captions_of("x.tsv", "caption\timage\nA bird\ta.jpg\n"), ElementsAre("A bird"));
  EXPECT_THAT(usage_error([&] { open_dataset("caption_table:" + dir.write("y.tsv", "a.jpg\tb\nlonely\n").string()); }),
              HasSubstr("y.tsv:2: expected a file and a caption"));
  EXPECT_THAT(usage_error([&] { open_dataset("caption_table:" + dir.write("z.tsv", "").string()); }),
              HasSubstr("there is no row"));
  EXPECT_EQ(open_dataset(dir.write("labels.csv", "Flicker8k_Dataset/a.jpg,dog\n").string()).format, "manifest");
}

TEST(CaptionFormats, ScenesHaveFiveCaptionsEachAlsoAsPartsOfThem) {
  const auto scenes = open_dataset("scenes:5:6:32").data;
  const auto captions = require_captions(scenes, "scenes");
  ASSERT_EQ(captions->size(), 6);
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(captions->captions(i), draw_scene(5, i, 32).captions);
    EXPECT_EQ(static_cast<int64_t>(captions->captions(i).size()), kSceneCaptions);
  }
  const auto part = require_captions(subset_of(scenes, {4, 1}), "part");
  EXPECT_EQ(part->captions(0), captions->captions(4));
  EXPECT_EQ(require_captions(open_dataset("scenes:5:2:32+scenes:6:2:32").data, "both")->captions(3),
            draw_scene(6, 1, 32).captions);
}

TEST(CaptionFormats, PartsAndSumsKeepCaptions) {
  const TempDir dir;
  write_pictures(dir, {"a.jpg", "b.jpg", "c.jpg"});
  const std::string path = dir.write("captions.tsv", "a.jpg\tA\nb.jpg\tB\nc.jpg\tC\nc.jpg\t\n").string();
  const auto all = open_dataset(path).data;
  const auto part = require_captions(subset_of(all, {2, 0}), path);
  EXPECT_THAT(part->captions(0), ElementsAre("C"));
  EXPECT_EQ(part->bad_captions().size(), 1u);
  const auto twice = require_captions(open_dataset(path + "+" + path).data, path);
  EXPECT_EQ(twice->size(), 6);
  EXPECT_THAT(twice->captions(4), ElementsAre("B"));
  EXPECT_EQ(twice->image_id(4), 4) << "ids stand twice, so they are positions";
  const TrainingData data = open_training_data({.data_dir = path, .val_ratio = 0.34}, 1);
  EXPECT_EQ(data.train->size(), 2);
  EXPECT_EQ(data.val->size(), 1);
  EXPECT_EQ(require_captions(data.val, "val")->captions(0).size(), 1u);
  EXPECT_TRUE(data.class_names.empty());
}

TEST(CaptionFormats, OtherSetsAndOtherTasksAreRefused) {
  const TempDir dir;
  write_pictures(dir, {"set/cat/a.jpg", "set/dog/b.jpg"});
  const std::string path = (dir.path() / "set").string();
  EXPECT_THAT(usage_error([&] { require_captions(open_dataset(path).data, path); }),
              testing::AllOf(HasSubstr("it has no captions"), HasSubstr("coco_captions"), HasSubstr("scenes")));
  const std::string table = dir.write("captions.tsv", "set/cat/a.jpg\tA cat\n").string();
  EXPECT_THAT(usage_error([&] { require_labels(*open_dataset(table).data, table); }),
              HasSubstr("captions and no classes"));
}

TEST(CaptionFormats, AnotherCaptionIsAnotherFingerprint) {
  const TempDir dir;
  write_pictures(dir, {"a.jpg"});
  const Fingerprint before = fingerprint(*open_dataset(dir.write("captions.tsv", "a.jpg\tA\n").string()).data);
  const Fingerprint now = fingerprint(*open_dataset(dir.write("captions.tsv", "a.jpg\tB\n").string()).data);
  EXPECT_NE(before, now);
}

TEST(CaptionFormats, TheDoctorReportsAll) {
  const TempDir dir;
  write_pictures(dir, {"images/a.jpg", "images/b.jpg", "images/nobody.jpg"});
  std::string rows = "a.jpg\tA cat\na.jpg\tA cat\nb.jpg\tB\nb.jpg\tcaf\xE9\nb.jpg\t\ngone.jpg\tGone\n";
  for (int i = 0; i < 60; ++i) rows += "b.jpg\t  \n";
  dir.write("captions_train.tsv", rows);
  std::vector<Finding> found = diagnose(examine(dir.path().string(), "", {}));
  const auto details = [&](const std::string& kind) {
    std::string all;
    for (const Finding& finding : found)
      if (finding.kind == kind) all += finding.source + ": " + finding.detail + "\n";
    return all;
  };
  EXPECT_THAT(details("bad_caption"), testing::AllOf(HasSubstr("captions_train.tsv:4): not UTF-8; left out"),
                                                     HasSubstr("no such picture, but 1 caption; left out"),
                                                     HasSubstr("61 times: empty caption; left out; the first is")));
  EXPECT_THAT(details("no_captions"), HasSubstr("nobody.jpg: no captions; left out"));
  EXPECT_THAT(details("repeated_caption"), HasSubstr("1 picture has the same caption twice"));
  EXPECT_THAT(details("caption_counts"), HasSubstr("3 captions of 2 pictures, 1 to 2 each"));
  EXPECT_TRUE(std::none_of(found.begin(), found.end(), [](const Finding& finding) {
    return finding.kind == "class_counts" || finding.kind == "label_out_of_range" || finding.kind == "no_boxes";
  }));
}

}  // namespace
}  // namespace datasets
