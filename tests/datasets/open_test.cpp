#include "datasets/open.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "datasets/class_map.h"
#include "datasets/label_check.h"
#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/temp_dir.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::test::TempDir;
using vit::test::usage_error;

TEST(OpenDataset, TakesFoldersWithAndWithoutTheirFormat) {
  const TempDir dir;
  dir.write("train/cat/1.jpg", vit::test::encode_jpeg(vit::test::pattern(8, 9), {.orientation = 6}));
  dir.write("train/dog/note.txt", "x");
  dir.write("val/cat/1.jpg", "x");
  const std::string root = dir.path().string();
  for (const std::string& spec : {root, "image_folder:" + root, "imagefolder:" + root}) {
    const OpenedDataset opened = open_dataset(spec, {.split = "train"});
    EXPECT_EQ(opened.format, "image_folder");
    EXPECT_EQ(opened.split, "train");
    EXPECT_EQ(opened.root, root + "/train");
    EXPECT_THAT(opened.data->class_names(), ElementsAre("cat", "dog"));
    EXPECT_EQ(opened.data->load(0).height(), 9) << "upright";
    EXPECT_THAT(opened.data->skipped(), ElementsAre(root + "/train/dog/note.txt"));
    EXPECT_THAT(class_counts(*opened.data), ElementsAre(1, 0));
  }
  EXPECT_THAT(dataset_splits(root), ElementsAre("train", "val"));
  EXPECT_THAT(dataset_splits(root + "/train"), testing::IsEmpty());
}

TEST(OpenDataset, SaysWhatItCannotOpen) {
  const TempDir dir;
  const std::string root = dir.path().string();
  EXPECT_THAT(usage_error([&] { open_dataset(""); }), HasSubstr("empty"));
  EXPECT_THAT(usage_error([&] { open_dataset(root + "/none"); }), HasSubstr("no such folder or file"));
  EXPECT_THAT(usage_error([&] { open_dataset("image_foldr:" + root); }), HasSubstr("did you mean 'image_folder'"));
  EXPECT_THAT(usage_error([&] { open_dataset(dir.write("x.zip", "x").string()); }), HasSubstr("are to be unpacked"));
  EXPECT_THAT(usage_error([&] { open_dataset("image_folder:"); }), HasSubstr("no such folder"));
  for (const std::string& format : dataset_registry().names())
    EXPECT_THROW(open_dataset(format + ":" + root + "/none"), vit::Error) << format;
}

TEST(OpenDataset, OpensGeneratedScenes) {
  const OpenedDataset opened = open_dataset("scenes:7:3:32");
  EXPECT_EQ(opened.format, "scenes");
  EXPECT_EQ(opened.data->size(), 3);
  EXPECT_EQ(opened.data->load(2).width(), 32);
  EXPECT_THAT(dataset_splits("scenes:7:3:32"), testing::IsEmpty());
  EXPECT_THAT(usage_error([] { open_dataset("scenes:7"); }), HasSubstr("scenes:"));
}

TEST(OpenDataset, LimitsPixels) {
  const TempDir dir;
  dir.write("a/1.jpg", vit::test::encode_jpeg(vit::test::pattern(20, 20)));
  const OpenedDataset opened = open_dataset(dir.path().string(), {.class_map = {}, .decode = {.max_pixels = 300}});
  EXPECT_THAT(vit::test::failure([&] { opened.data->load(0); }), HasSubstr("limit of 300"));
}

TEST(ClassMap, ReadsTextAndYaml) {
  const TempDir dir;
  const auto names = [&](const std::string& file, const std::string& text) {
    return read_class_map(dir.write(file, text).string());
  };
  EXPECT_THAT(names("a.txt", "b\r\na b\n#c\n\n"), ElementsAre("b", "a b", "#c"));
  EXPECT_THAT(names("a.yaml", "- b\n- a\n"), ElementsAre("b", "a"));
  EXPECT_THAT(names("b.yaml", "a: 1\nb: 0\n"), ElementsAre("b", "a"));
  EXPECT_THAT(names("c.json", R"({"0": "b", "1": "a"})"), ElementsAre("b", "a"));
  EXPECT_THAT(usage_error([&] { names("d.txt", "\n"); }), HasSubstr("no class name"));
  EXPECT_THAT(usage_error([&] { names("d.txt", "a\n\nb\n"); }), HasSubstr("class 1 is empty"));
  EXPECT_THAT(usage_error([&] { names("d.txt", "a\nb\na\n"); }), HasSubstr("'a' is class 0 and class 2"));
  EXPECT_THAT(usage_error([&] { names("d.yaml", "a: 0\nb: 2\n"); }), HasSubstr("expected 0 to 1"));
  EXPECT_THAT(usage_error([&] { names("d.yaml", "a: 0\nb: 0\n"); }), HasSubstr("both class 0"));
  EXPECT_THAT(usage_error([&] { names("d.yaml", "a: [0]\n"); }), HasSubstr("d.yaml:1"));
  EXPECT_THAT(usage_error([&] { read_class_map((dir / "none.txt").string()); }), HasSubstr("none.txt"));
}

TEST(ClassMap, ReordersClasses) {
  const TempDir dir;
  for (const char* file : {"d/cat/1.jpg", "d/dog/1.jpg", "d/dog/2.jpg"}) dir.write(file, "x");
  std::filesystem::create_directories(dir / "d" / "empty");
  const auto open = [&](const std::string& text) {
    return open_dataset((dir / "d").string(), {.class_map = dir.write("map.txt", text).string()}).data;
  };
  const auto data = open("bird\ndog\ncat\n");
  EXPECT_THAT(data->class_names(), ElementsAre("bird", "dog", "cat"));
  EXPECT_THAT(labels_of(*data), ElementsAre(2, 1, 1));
  EXPECT_THAT(class_counts(*data), ElementsAre(0, 2, 1));
  EXPECT_THAT(usage_error([&] { open("bird\ncat\n"); }), HasSubstr("classes that are not in the class map: dog"));
}

TEST(ClassMap, CountsNumbers) {
  const TempDir dir;
  const std::string table = dir.write("x.csv", "a.jpg,0\nb.jpg,2\nc.jpg,1\n").string();
  const std::string map = dir.write("map.txt", "zero\none\n").string();
  const auto data = open_dataset(table, {.class_map = map}).data;
  EXPECT_THAT(labels_of(*data), ElementsAre(0, -1, 1));
  EXPECT_THAT(usage_error([&] { require_labels(*data, "here"); }), HasSubstr("b.jpg"));
}

}  // namespace
}  // namespace datasets
