#include "datasets/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "datasets/data_config.h"
#include "datasets/fingerprint.h"
#include "datasets/hash.h"
#include "datasets/label_check.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"
#include "vit/core/config.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::test::TempDir;
using vit::test::usage_error;

/// Labels without pictures.
class Labels : public Dataset {
 public:
  Labels(std::vector<int64_t> labels, std::vector<std::string> names, std::string root = "root")
      : labels_(std::move(labels)), names_(std::move(names)), root_(std::move(root)) {}
  int64_t size() const override { return static_cast<int64_t>(labels_.size()); }
  const std::vector<std::string>& class_names() const override { return names_; }
  int64_t label(int64_t index) const override { return labels_.at(static_cast<size_t>(index)); }
  std::string source(int64_t index) const override { return root_ + "/" + std::to_string(index); }
  vit::Image load(int64_t) const override { return vit::Image(1, 1); }

 private:
  std::vector<int64_t> labels_;
  std::vector<std::string> names_;
  std::string root_;
};

std::vector<int64_t> repeated(const std::vector<int64_t>& counts) {
  std::vector<int64_t> labels;
  for (size_t c = 0; c < counts.size(); ++c) labels.insert(labels.end(), static_cast<size_t>(counts[c]), int64_t(c));
  return labels;
}

TEST(StratifiedSplit, TakesItsShareOfEveryClass) {
  const Labels data(repeated({100, 10, 3, 2, 1}), {"a", "b", "c", "d", "e"});
  const SplitIndices split = stratified_split(data, 0.2, 7, "here");
  std::vector<int64_t> val(5), train(5);
  for (const int64_t i : split.val) ++val[static_cast<size_t>(data.label(i))];
  for (const int64_t i : split.train) ++train[static_cast<size_t>(data.label(i))];
  EXPECT_THAT(val, ElementsAre(20, 2, 1, 1, 0));
  EXPECT_THAT(train, ElementsAre(80, 8, 2, 1, 1));
  EXPECT_TRUE(std::is_sorted(split.train.begin(), split.train.end()));
  std::set<int64_t> all(split.train.begin(), split.train.end());
  all.insert(split.val.begin(), split.val.end());
  EXPECT_EQ(all.size(), 116u) << "every picture on exactly one side";
}

TEST(StratifiedSplit, DependsOnTheSeedAndOnNothingElse) {
  const Labels data(repeated({50, 50}), {"a", "b"}), wider(repeated({50, 50, 40}), {"a", "b", "c"});
  const SplitIndices first = stratified_split(data, 0.3, 1, "");
  EXPECT_EQ(first.val, stratified_split(data, 0.3, 1, "").val);
  EXPECT_NE(first.val, stratified_split(data, 0.3, 2, "").val);
  std::vector<int64_t> val = stratified_split(wider, 0.3, 1, "").val;
  val.resize(first.val.size());
  EXPECT_EQ(first.val, val) << "another class does not disturb";
  EXPECT_THAT(std::vector<int64_t>(first.val.begin(), first.val.begin() + 5), ElementsAre(9, 12, 16, 19, 20))
      << "the same on every machine";
}

TEST(StratifiedSplit, RefusesWhatCannotBeDivided) {
  const Labels data({0, 1, 2}, {"a", "b"});
  EXPECT_THAT(usage_error([&] { stratified_split(data, 0.5, 1, "here"); }), HasSubstr("root/2 has the label 2"));
  EXPECT_THAT(usage_error([&] { stratified_split(Labels({0}, {"a"}), 0.5, 1, "here"); }), HasSubstr("two pictures"));
  EXPECT_THAT(usage_error([&] { stratified_split(Labels({0, 0}, {"a"}), 1.0, 1, "here"); }), HasSubstr("share of 1"));
  EXPECT_THROW(SubsetDataset(std::make_shared<Labels>(data), {0, 3}), vit::Error);
}

TEST(Fingerprint, TellsWhatChanged) {
  const Fingerprint before = fingerprint(Labels({0, 1, 1}, {"a", "b"}));
  EXPECT_EQ(before, fingerprint(Labels({0, 1, 1}, {"a", "b"}, "/some/where/else"))) << "moved";
  const auto now = [&](const Labels& data) { return difference(before, fingerprint(data)); };
  EXPECT_EQ(now(Labels({0, 1, 1}, {"a", "b"})), "");
  EXPECT_THAT(now(Labels({0, 1}, {"a", "b"})), HasSubstr("3 pictures and has 2"));
  EXPECT_THAT(now(Labels({0, 1, 0}, {"a", "b"})), HasSubstr("labels"));
  EXPECT_THAT(now(Labels({0, 1, 1}, {"a", "c"})), HasSubstr("names"));
  EXPECT_THAT(now(Labels({0, 1, 1}, {"a", "b", "c"})), HasSubstr("2 classes and has 3"));
  EXPECT_THAT(usage_error([&] {
                require_unchanged(before, fingerprint(Labels({0}, {"a", "b"})), "here");
              }),
              HasSubstr("here: it has changed"));
  EXPECT_EQ(fingerprint(Labels({}, {})).pictures, 0);
  EXPECT_THAT(before.text(), HasSubstr("3 pictures in 2 classes, names "));
  EXPECT_NE(before.text(), fingerprint(Labels({0, 1, 0}, {"a", "b"})).text());
  const vit::ConfigNode stored = vit::write_config(before);
  EXPECT_EQ(vit::read_config<Fingerprint>(vit::ConfigNode::parse(stored.to_yaml(), "stored")), before);
}

TEST(Hasher, DoesNotDependOnHowBytesAreCut) {
  const std::string text = "The quick brown fox jumps over the lazy dog";
  const auto bytes = std::as_bytes(std::span(text));
  Hasher whole;
  whole.add(bytes);
  std::set<Hash128> distinct = {whole.finish()};
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    Hasher parts;
    parts.add(bytes.first(cut));
    distinct.insert(parts.finish());
    parts.add(bytes.subspan(cut));
    EXPECT_EQ(parts.finish(), whole.finish()) << cut;
  }
  EXPECT_EQ(distinct.size(), bytes.size() + 1) << "no prefix has another's hash";
  EXPECT_EQ(whole.finish().text(), "835e4d7834132bbc0ebc4727c5d4b965") << "the same on every machine";
}

class Data : public testing::Test {
 protected:
  /// Empty files: nothing here reads a picture.
  void write(const std::vector<std::string>& files) const {
    for (const std::string& file : files) dir_.write(file, "x");
  }
  TrainingData open(DataConfig config) const {
    config.data_dir = dir_.path().string();
    return open_training_data(config, 5);
  }
  TempDir dir_;
};

TEST_F(Data, OpensSplits) {
  write({"train/a/1.jpg", "train/b/1.jpg", "train/b/2.jpg", "validation/b/9.jpg", "test/a/1.jpg"});
  const TrainingData data = open({});
  EXPECT_EQ(data.train->size(), 3);
  EXPECT_EQ(data.val->label(0), 1) << "numbered as in train, though val has fewer classes";
  EXPECT_THAT(data.class_names, ElementsAre("a", "b"));
  EXPECT_THAT(data.val_name, HasSubstr("(validation)"));
  EXPECT_EQ(open({.val_split = "test"}).val->label(0), 0);
  EXPECT_EQ(open({.num_classes = 4}).class_names.at(3), "3");
  EXPECT_THAT(usage_error([&] { open({.val_split = "train"}); }), HasSubstr("both train_split and val_split"));
  EXPECT_THAT(usage_error([&] { open({.num_classes = 1}); }), HasSubstr("num_classes is 1"));
  EXPECT_THAT(usage_error([&] { open({.dataset = "cifar10"}); }), HasSubstr("data_batch_1.bin"));
  write({"validation/c/1.jpg"});
  EXPECT_THAT(usage_error([&] { open({}); }), HasSubstr("classes that are not in the training data"));
}

TEST_F(Data, DividesWhatHasNoSplits) {
  write({"a/1.jpg", "a/2.jpg", "a/3.jpg", "b/1.jpg", "b/2.jpg"});
  EXPECT_THAT(usage_error([&] { open({}); }), HasSubstr("set val_ratio"));
  const TrainingData data = open({.val_ratio = 0.4});
  EXPECT_EQ(data.train->size(), 3);
  EXPECT_EQ(data.val->size(), 2);
  EXPECT_NE(data.train_fingerprint, data.val_fingerprint);
  EXPECT_EQ(data.train_fingerprint, open({.val_ratio = 0.4}).train_fingerprint);
  const TempDir other;
  other.write("b/7.jpg", "x");
  const TrainingData separate = open({.val_data_dir = other.path().string()});
  EXPECT_EQ(separate.val->label(0), 1);
  EXPECT_THAT(usage_error([&] { open({.val_data_dir = "x", .val_ratio = 0.1}); }), HasSubstr("set one of them"));
}

TEST_F(Data, NamesEmptyClasses) {
  write({"train/a/1.jpg", "train/b/notes.txt", "val/a/1.jpg"});
  EXPECT_THAT(usage_error([&] { open({}); }), HasSubstr("1 of 2 classes have no picture: 'b'"));
  EXPECT_EQ(open({.allow_empty_classes = true}).class_names.size(), 2u);
  EXPECT_THAT(usage_error([] { open_training_data({}, 0); }), HasSubstr("data_dir is not set"));
}

}  // namespace
}  // namespace datasets
