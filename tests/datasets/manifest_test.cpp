#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets/csv.h"
#include "datasets/label_check.h"
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

std::vector<std::vector<std::string>> rows(const std::string& text, char delimiter = ',') {
  CsvReader reader(text, delimiter, "t.csv");
  std::vector<std::vector<std::string>> all;
  std::vector<std::string> fields;
  while (reader.next(fields)) all.push_back(fields);
  return all;
}

TEST(Csv, ReadsRfc4180) {
  EXPECT_THAT(rows("\xEF\xBB\xBF"
                   "a,b\r\n\r\n\"x,\"\"y\"\"\nz\",\n,2"),
              ElementsAre(ElementsAre("a", "b"), ElementsAre("x,\"y\"\nz", ""), ElementsAre("", "2")));
  EXPECT_THAT(rows(""), testing::IsEmpty());
  EXPECT_THAT(rows("a\tb c\t", '\t'), ElementsAre(ElementsAre("a", "b c", "")));
  EXPECT_THAT(usage_error([] { rows("a,b\n\"x\ny"); }), HasSubstr("t.csv:2: a quote that is never closed"));
  EXPECT_THAT(usage_error([] { rows("\"x\"y"); }), HasSubstr("t.csv:1: text behind"));
  EXPECT_THAT(usage_error([] { rows(std::string("a\nb\0c", 5)); }), HasSubstr("t.csv:2: a zero byte"));
  EXPECT_EQ(guess_delimiter("a;b;c,d\n,,,,"), ';');
}

TEST(Manifest, ReadsNamesNumbersAndSplits) {
  const TempDir dir;
  const std::string picture = dir.write("p/a.jpg", vit::test::encode_jpeg(vit::test::pattern(5, 6))).string();
  const std::string named =
      dir.write("named.csv", "Label,extra,Path,split\ndog,1,p/a.jpg,train\ncat,2,p/b.jpg,val\n").string();
  EXPECT_THAT(dataset_splits(named), ElementsAre("train", "val"));
  const OpenedDataset train = open_dataset(named, {.split = "train"});
  EXPECT_EQ(train.format, "manifest");
  EXPECT_THAT(train.data->class_names(), ElementsAre("cat", "dog")) << "of all splits";
  EXPECT_THAT(labels_of(*train.data), ElementsAre(1));
  EXPECT_EQ(train.data->source(0), picture);
  EXPECT_EQ(train.data->load(0).width(), 6);
  EXPECT_EQ(open_dataset(named).split, "val");
  EXPECT_THAT(vit::test::failure([&] { open_dataset(named).data->load(0); }), HasSubstr("no such file"));

  const std::string bare = dir.write("bare.tsv", picture + "\t3\n" + "p/a.jpg\t-1\n").string();
  const OpenedDataset numbers = open_dataset("manifest:" + bare);
  EXPECT_THAT(labels_of(*numbers.data), ElementsAre(3, -1));
  EXPECT_EQ(numbers.data->class_names().size(), 4u);
  EXPECT_EQ(numbers.data->source(0), numbers.data->source(1));
  EXPECT_THAT(usage_error([&] { require_labels(*numbers.data, bare); }), HasSubstr("label -1"));
}

TEST(Manifest, FindsTablesInAFolder) {
  const TempDir dir;
  dir.write("labels.csv", "file,wnid,index,name\na.jpg,n01440764,0,\"tench, Tinca tinca\"\n");
  const OpenedDataset single = open_dataset(dir.path().string());
  EXPECT_THAT(single.data->class_names(), ElementsAre("n01440764"));
  EXPECT_EQ(single.data->source(0), (dir / "a.jpg").string());
  dir.write("train.csv", "a.jpg,x\nb.jpg,y\n");
  dir.write("val.csv", "c.jpg,y\n");
  const OpenedDataset val = open_dataset(dir.path().string());
  EXPECT_EQ(val.split, "val");
  EXPECT_THAT(labels_of(*val.data), ElementsAre(1)) << "numbered over all splits";
}

TEST(Manifest, RefusesWhatIsNoTable) {
  const TempDir dir;
  const auto error = [&](const std::string& text) {
    return usage_error([&] { open_dataset(dir.write("x.csv", text).string()); });
  };
  EXPECT_THAT(error(""), HasSubstr("no row"));
  EXPECT_THAT(error("path,label\n"), HasSubstr("no row"));
  EXPECT_THAT(error("one,two\n1,2\n"), HasSubstr("x.csv:1: expected a header"));
  EXPECT_THAT(error("path,label\na.jpg,x\nb.jpg\n"), HasSubstr("x.csv:3: 1 fields, the first row has 2"));
  EXPECT_THAT(error("path,label\n,x\n"), HasSubstr("x.csv:2: the path is empty"));
  EXPECT_THAT(error("path,label\na.jpg,\n"), HasSubstr("x.csv:2: the label is empty"));
  EXPECT_THAT(error("a.jpg,x,train,9\n"), HasSubstr("a row of 4 fields"));
  EXPECT_THAT(error("a.jpg\n"), HasSubstr("a row of 1 fields"));
  EXPECT_THAT(usage_error([&] { open_dataset("manifest:" + dir.path().string()); }), HasSubstr("labels.csv"));
}

}  // namespace
}  // namespace datasets
