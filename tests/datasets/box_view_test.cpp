#include "datasets/box_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "datasets/clips.h"
#include "datasets/data_config.h"
#include "datasets/open.h"
#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::test::TempDir;
using vit::test::usage_error;

/// A COCO file with `pictures` pictures, each with a box of every category, and one more picture without any.
std::string coco(int64_t pictures, const std::vector<std::string>& names, int64_t first_id = 1) {
  std::string images, annotations, categories;
  for (int64_t i = 0; i <= pictures; ++i)
    images +=
        vit::str(i > 0 ? "," : "", R"({"width": 40, "height": 30, "file_name": "p.jpg", "id": )", first_id + i, "}");
  for (int64_t i = 0; i < pictures; ++i)
    for (size_t c = 0; c < names.size(); ++c)
      annotations += vit::str(annotations.empty() ? "" : ",", R"({"bbox": [1, 2, )", 3 + i, R"(, 4], "image_id": )",
                              first_id + i, R"(, "category_id": )", 10 * (c + 1), "}");
  for (size_t c = 0; c < names.size(); ++c)
    categories += vit::str(c > 0 ? "," : "", R"({"name": ")", names[c], R"(", "id": )", 10 * (c + 1), "}");
  return R"({"images": [)" + images + R"(], "annotations": [)" + annotations + R"(], "categories": [)" + categories +
         "]}";
}

struct Sets {
  Sets() {
    const std::string jpeg = vit::test::encode_jpeg(vit::test::pattern(30, 40));
    for (const char* folder : {"walkers/", "street/"}) dir.write(std::string(folder) + "p.jpg", jpeg);
    dir.write("walkers/train.json", coco(4, {"pedestrian"}));
    dir.write("walkers/val.json", coco(2, {"pedestrian"}));
    dir.write("street/instances.json", coco(3, {"car", "person", "dog"}, 100));
    walkers = (dir / "walkers").string();
    street = (dir / "street").string();
  }
  TempDir dir;
  std::string walkers, street;
};

std::shared_ptr<const BoxDataset> open_boxes(const std::string& spec, const std::string& split = {}) {
  return require_boxes(open_dataset(spec, {.split = split}).data, spec);
}

TEST(BoxViews, JoinSetsWithClassesByName) {
  const Sets sets;
  const std::string spec = sets.walkers + "+" + sets.street;
  const auto train = open_boxes(spec, "train");
  EXPECT_EQ(train->size(), 5 + 4) << "street has no splits: it is training data";
  EXPECT_THAT(train->class_names(), ElementsAre("pedestrian", "car", "person", "dog"));
  EXPECT_EQ(train->boxes(0).at(0).label, 0);
  EXPECT_EQ(train->boxes(5).at(2).label, 3);
  EXPECT_EQ(train->image_id(5), 100) << "no two are equal";
  EXPECT_THAT(train->category_ids(), ElementsAre(0, 1, 2, 3)) << "10 is two categories";
  EXPECT_EQ(train->load(8).width(), 40);
  EXPECT_EQ(open_boxes(spec, "val")->size(), 3);
  EXPECT_THAT(dataset_splits(spec), ElementsAre("train", "val"));
  EXPECT_EQ(open_boxes(sets.walkers + "+" + sets.walkers, "train")->image_id(5), 5) << "ids stand twice";
  EXPECT_THAT(usage_error([&] { open_dataset(sets.walkers + "+nowhere"); }),
              HasSubstr("'nowhere' of those joined by +"));
}

TEST(BoxViews, TrainOnPersonsOfTwoSets) {
  const Sets sets;
  DataConfig config;
  config.data_dir = sets.walkers + "+" + sets.street;
  config.rename_classes = {{"pedestrian", "person"}};
  config.classes = {"person"};
  const TrainingData data = open_training_data(config, 0);
  EXPECT_THAT(data.class_names, ElementsAre("person"));
  const auto train = require_boxes(data.train, "train"), val = require_boxes(data.val, "val");
  EXPECT_EQ(train->size(), 9);
  ASSERT_EQ(train->boxes(6).size(), 1u) << "cars and dogs are left out";
  EXPECT_EQ(train->boxes(6)[0].label, 0);
  EXPECT_EQ(val->size(), 3);
  EXPECT_EQ(train->label(4), -1) << "no box";

  config.classes = {"persn"};
  EXPECT_THAT(usage_error([&] { open_training_data(config, 0); }),
              HasSubstr("no class 'persn' (did you mean 'person'?)"));
  config.classes = {"person", "person"};
  EXPECT_THAT(usage_error([&] { open_training_data(config, 0); }), HasSubstr("stands twice"));
  config.classes = {};
  config.rename_classes = {{"walker", "person"}};
  EXPECT_THAT(usage_error([&] { open_training_data(config, 0); }), HasSubstr("rename_classes"));
}

TEST(BoxViews, DivideASetWithoutSplits) {
  const Sets sets;
  DataConfig config;
  config.data_dir = sets.street;
  EXPECT_THAT(usage_error([&] { open_training_data(config, 0); }), HasSubstr("set val_ratio"));
  config.val_ratio = 0.25;
  const TrainingData data = open_training_data(config, 3);
  EXPECT_EQ(data.train->size(), 3);
  EXPECT_EQ(data.val->size(), 1);
  EXPECT_EQ(require_boxes(data.train, "train")->picture_size(0), (vit::Extent{30, 40}));
  EXPECT_EQ(open_training_data(config, 3).train_fingerprint, data.train_fingerprint);
}

TEST(BoxViews, FingerprintsNoticeAMovedBox) {
  const Sets sets;
  const Fingerprint before = fingerprint(*open_boxes(sets.street));
  std::string text = coco(3, {"car", "person", "dog"}, 100);
  text.replace(text.find("[1, 2,"), 6, "[1, 3,");
  sets.dir.write("street/instances.json", text);
  EXPECT_NE(fingerprint(*open_boxes(sets.street)), before);
}

TEST(BoxViews, FollowAClassMap) {
  const Sets sets;
  const std::string map = sets.dir.write("names.txt", "dog\ncar\nperson\n").string();
  const auto data = require_boxes(open_dataset(sets.street, {.class_map = map}).data, "street");
  EXPECT_EQ(data->boxes(0).at(0).label, 1);
  EXPECT_THAT(data->category_ids(), ElementsAre(30, 10, 20));
  const std::string few = sets.dir.write("few.txt", "dog\ncar\n").string();
  EXPECT_THAT(usage_error([&] { open_dataset(sets.street, {.class_map = few}); }), HasSubstr("person"));
}

TEST(BoxViews, RefuseWhatHasNoBoxes) {
  const TempDir dir;
  dir.write("cat/a.jpg", vit::test::encode_jpeg(vit::test::pattern(5, 6)));
  EXPECT_THAT(usage_error([&] { open_boxes(dir.path().string()); }), HasSubstr("no boxes, which a detector needs"));
}

TEST(Clips, HaveTracksThroughTheirFrames) {
  const auto data = require_boxes(open_dataset("clips:3:2:20:64").data, "clips");
  ASSERT_EQ(data->size(), 40);
  EXPECT_EQ(data->clip(19), 0);
  EXPECT_EQ(data->clip(20), 1);
  EXPECT_EQ(data->source(21), "clips:3:1:1:64");
  EXPECT_EQ(data->load(0).height(), 64);
  std::map<int64_t, int64_t> label_of;
  for (int64_t i = 0; i < 20; ++i)
    for (const BoxAnnotation& box : data->boxes(i)) {
      EXPECT_GE(box.track, 0);
      EXPECT_EQ(label_of.emplace(box.track, box.label).first->second, box.label) << "a track has one class";
      EXPECT_GT(vit::box_area(box.box), 0.0);
    }
  EXPECT_GE(label_of.size(), 2u);
  EXPECT_EQ(data->boxes(7).size(), SceneClip(3, 0, 20, 64).frame(7).objects.size());
  EXPECT_THAT(usage_error([] { open_dataset("clips:3:2"); }), HasSubstr("expected clips:SEED:COUNT:FRAMES"));
  EXPECT_THAT(usage_error([] { open_dataset("clips:3:2:0"); }), HasSubstr("1 to 100000 frames"));
}

}  // namespace
}  // namespace datasets
