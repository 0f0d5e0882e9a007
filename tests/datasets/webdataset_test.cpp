#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets/open.h"
#include "datasets/shards.h"
#include "tests/support/errors.h"
#include "tests/support/image_encode.h"
#include "tests/support/tar_write.h"
#include "tests/support/temp_dir.h"
#include "vit/core/parallel.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::test::make_tar;
using vit::test::TempDir;
using vit::test::usage_error;

std::string jpeg(int64_t height) { return vit::test::encode_jpeg(vit::test::pattern(height, 9)); }

std::vector<int64_t> labels(const Dataset& data) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < data.size(); ++i) all.push_back(data.label(i));
  return all;
}

TEST(WebDataset, FindsExamplesInShards) {
  const TempDir dir;
  dir.write("s/0.tar", make_tar({{"a/01.jpg", jpeg(4)},
                                 {"a/01.cls", "2\n"},
                                 {"a/02.json", R"({"label": 0, "text": "x"})"},
                                 {"a/02.v2.JPG", jpeg(5)},
                                 {"a/02.txt", "a caption"},
                                 {"readme.txt", "x"},
                                 {"03.jpg", jpeg(6)}}));
  dir.write("s/1.tar", make_tar({{"04.ppm", vit::test::encode_ppm(vit::test::pattern(7, 9))}, {"04.cls.txt", "1"}}));
  const OpenedDataset opened = open_dataset((dir / "s").string());
  const Dataset& data = *opened.data;
  EXPECT_EQ(opened.format, "webdataset");
  EXPECT_EQ(opened.split, "");
  EXPECT_THAT(labels(data), ElementsAre(2, 0, 1));
  EXPECT_THAT(data.class_names(), ElementsAre("0", "1", "2"));
  EXPECT_EQ(data.source(1), (dir / "s" / "0.tar").string() + "/a/02.v2.JPG");
  const std::vector<int64_t> heights = {4, 5, 7};
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(data.load(i).height(), heights[static_cast<size_t>(i)]);
  EXPECT_EQ(data.encoded(0), jpeg(4));
  EXPECT_THAT(data.skipped(), ElementsAre(HasSubstr("0.tar/readme.txt"), HasSubstr("0.tar/03.jpg")));
}

TEST(WebDataset, ChoosesSplitsAndPatterns) {
  const TempDir dir;
  const auto shard = [&](const std::string& name, const std::string& label) {
    dir.write(name, make_tar({{"x.jpg", jpeg(4)}, {"x.cls", label}}));
  };
  shard("train-000.tar", "cat");
  shard("train-001.tar", "dog");
  shard("val-000.tar", "cat");
  const std::string root = dir.path().string();
  EXPECT_THAT(dataset_splits(root), ElementsAre("train", "val"));
  EXPECT_EQ(open_dataset(root).data->size(), 1);
  const OpenedDataset train = open_dataset(root, {.split = "train"});
  EXPECT_EQ(train.split, "train");
  EXPECT_THAT(train.data->class_names(), ElementsAre("cat", "dog"));
  EXPECT_EQ(open_dataset(root + "/train-{000..001}.tar").data->size(), 2);
  EXPECT_EQ(open_dataset(root + "/train-*.tar").split, "train");
  EXPECT_EQ(open_dataset("webdataset:" + root + "/{train,val}-000.tar").split, "val");
  EXPECT_EQ(open_dataset(root + "/val-000.tar").data->size(), 1);
  EXPECT_THAT(usage_error([&] { open_dataset(root + "/train-{000..002}.tar"); }), HasSubstr("train-002.tar"));
  EXPECT_THAT(usage_error([&] { open_dataset("webdataset:" + root + "/no*.tar"); }), HasSubstr("no shards"));
}

TEST(WebDataset, RefusesWhatItCannotUse) {
  const TempDir dir;
  const auto error = [&](const std::vector<std::pair<std::string, std::string>>& files) {
    return usage_error([&] { open_dataset(dir.write("x.tar", make_tar(files)).string()); });
  };
  EXPECT_THAT(error({{"cat/1.jpg", "x"}, {"dog/2.jpg", "x"}}), HasSubstr("are to be unpacked"));
  EXPECT_THAT(error({{"1.jpg", "x"}, {"1.cls", ""}}), HasSubstr("label is empty"));
  EXPECT_THAT(error({{"1.jpg", "x"}, {"1.cls", std::string(5000, '1')}}), HasSubstr("at most 4096"));
  EXPECT_THAT(error({{"1.jpg", "x"}, {"1.cls", "99999999"}}), HasSubstr("below 1000000"));
  EXPECT_THAT(error({{"1.jpg", "x"}, {"1.png", "x"}, {"1.cls", "1"}}), HasSubstr("of one example"));
  EXPECT_THAT(error({{"1.jpg", "x"}, {"1.json", "{"}}), HasSubstr("1.json"));
  EXPECT_THAT(error({{"1.jpg", "x"}, {"1.json", "{}"}}), HasSubstr("label"));
  EXPECT_THAT(error({{"1.jpg", "x"}, {"1.json", R"({"label": [1]})"}}), HasSubstr("number or name"));
  dir.write("y.tar", "\x1F\x8B");
  EXPECT_THAT(usage_error([&] { open_dataset((dir / "y.tar").string()); }), HasSubstr("gunzip"));
}

TEST(WebDataset, NamesTheShardOfAnUnreadablePicture) {
  const TempDir dir;
  const std::string path = dir.write("x.tar", make_tar({{"1.jpg", "no picture"}, {"1.cls", "0"}})).string();
  const OpenedDataset opened = open_dataset(path);
  EXPECT_THAT(vit::test::failure([&] { opened.data->load(0); }), HasSubstr("x.tar/1.jpg"));
  dir.write("x.tar", "short");
  EXPECT_THAT(vit::test::failure([&] { opened.data->load(0); }), HasSubstr("ends at byte 5"));
}

TEST(Shards, ExpandsBraces) {
  EXPECT_THAT(expand_braces("a"), ElementsAre("a"));
  EXPECT_THAT(expand_braces("{a,b}-{8..10}.tar"),
              ElementsAre("a-8.tar", "a-9.tar", "a-10.tar", "b-8.tar", "b-9.tar", "b-10.tar"));
  EXPECT_THAT(expand_braces("{008..010}"), ElementsAre("008", "009", "010"));
  EXPECT_THAT(expand_braces("{2..0}"), ElementsAre("2", "1", "0"));
  EXPECT_THAT(expand_braces("x{a,{1..2}}"), ElementsAre("xa", "x1", "x2"));
  EXPECT_THAT(usage_error([] { expand_braces("a{1..2"); }), HasSubstr("never closed"));
  EXPECT_THAT(usage_error([] { expand_braces("{0..99999999999}"); }), HasSubstr("more than 100000"));
  EXPECT_THAT(usage_error([] { expand_braces("{0..9999}{0..9999}"); }), HasSubstr("more than 100000"));
}

TEST(Shards, SayTheirSplit) {
  EXPECT_EQ(split_of_shard("/data/imagenet-train-000.tar"), "train");
  EXPECT_EQ(split_of_shard("x/validation_3.tar"), "validation");
  EXPECT_EQ(split_of_shard("/data/test/7.tar"), "test");
  EXPECT_EQ(split_of_shard("/data/constraint-7.tar"), "");
}

}  // namespace
}  // namespace datasets
