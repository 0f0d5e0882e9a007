#include "vit/models/labels.h"

#include <nlohmann/json.hpp>

#include "tests/support/env.h"
#include "tests/support/errors.h"
#include "tests/support/temp_dir.h"

namespace vit {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

class LabelsTest : public ::testing::Test {
  test::ScopedEnv home_{"VITKIT_HOME", VITKIT_SOURCE_DIR};
};

ClassLabels labels_of(const char* text, int64_t num_classes) {
  return ClassLabels::from_checkpoint(json::parse(text), num_classes, "dir/config.json");
}

std::string error_of(const char* text, int64_t num_classes) {
  return test::usage_error([&] { labels_of(text, num_classes); });
}

std::vector<std::string> names_of(const ClassLabels& labels) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < labels.size(); ++i) names.push_back(labels.name(i));
  return names;
}

using Names = std::vector<std::string>;

TEST_F(LabelsTest, HuggingFaceMapInAnyOrder) {
  // Text order of the keys ("10" before "2") must not matter.
  const ClassLabels labels = labels_of(
      R"({"id2label": {"10": "k", "2": "c", "0": "a", "1": "b", "3": "d", "4": "e", "5": "f", "6": "g", "7": "h",
          "8": "i", "9": "j"}})",
      11);
  EXPECT_EQ(names_of(labels), (Names{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}));
  EXPECT_EQ(labels.source(), LabelSource::checkpoint);
  EXPECT_EQ(labels.find("k"), 10);
  EXPECT_EQ(labels.find("l"), std::nullopt);
}

TEST_F(LabelsTest, HuggingFaceDefaultNamesCountAsNames) {
  const ClassLabels labels = labels_of(R"({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}})", 2);
  EXPECT_EQ(names_of(labels), (Names{"LABEL_0", "LABEL_1"}));
  EXPECT_EQ(labels.source(), LabelSource::checkpoint);
}

TEST_F(LabelsTest, HuggingFaceMapMustFitTheModel) {
  EXPECT_THAT(error_of(R"({"id2label": {"0": "a", "1": "b"}})", 3),
              AllOf(HasSubstr("dir/config.json: id2label"), HasSubstr("3 classes"), HasSubstr("got 2")));
  EXPECT_THAT(error_of(R"({"id2label": {"0": "a", "2": "b"}})", 2), HasSubstr("names class 2, but the model has 2"));
  EXPECT_THAT(error_of(R"({"id2label": {"0": "a", "00": "b"}})", 2), HasSubstr("class 0 is named twice"));
  EXPECT_THAT(error_of(R"({"id2label": {"0": "a", "one": "b"}})", 2), HasSubstr("got 'one'"));
  EXPECT_THAT(error_of(R"({"id2label": {"0": "a", "-1": "b"}})", 2), HasSubstr("got '-1'"));
  EXPECT_THAT(error_of(R"({"id2label": {"0": "a", "99999999999999999999": "b"}})", 2), HasSubstr("class numbers"));
  EXPECT_THAT(error_of(R"({"id2label": {"0": "a", "1": ["b"]}})", 2), HasSubstr("id2label.1: expected a name"));
  EXPECT_THAT(error_of(R"({"id2label": 3})", 2), HasSubstr("dir/config.json: id2label"));
}

TEST_F(LabelsTest, TimmListAtTheTopLevelWinsOverPretrainedCfg) {
  const ClassLabels inner = labels_of(R"({"architecture": "x", "pretrained_cfg": {"label_names": ["a", "b"]}})", 2);
  EXPECT_EQ(names_of(inner), (Names{"a", "b"}));
  EXPECT_EQ(inner.source(), LabelSource::checkpoint);
  const ClassLabels outer = labels_of(
      R"({"architecture": "x", "label_names": ["c", "d"], "pretrained_cfg": {"label_names": ["a", "b"]}})", 2);
  EXPECT_EQ(names_of(outer), (Names{"c", "d"}));
  EXPECT_EQ(names_of(labels_of(R"({"architecture": "x", "labels": ["e", "f"]})", 2)), (Names{"e", "f"}));
  EXPECT_EQ(names_of(labels_of(R"({"label_names": [0, 1]})", 2)), (Names{"0", "1"}));
}

TEST_F(LabelsTest, TimmMapMayLeaveGaps) {
  const ClassLabels labels = labels_of(R"({"label_names": {"2": "c", "0": "a"}})", 4);
  EXPECT_EQ(names_of(labels), (Names{"a", "class_1", "c", "class_3"}));
}

TEST_F(LabelsTest, TimmDescriptionsAreShownAndBothAreFound) {
  const ClassLabels labels = labels_of(
      R"({"label_names": ["n01", "n02", "n03"],
          "pretrained_cfg": {"label_descriptions": {"n01": "tench", "n03": "shark"}}})",
      3);
  EXPECT_EQ(names_of(labels), (Names{"tench", "n02", "shark"}));
  EXPECT_EQ(labels.find("shark"), 2);
  EXPECT_EQ(labels.find("n03"), 2);
  EXPECT_EQ(labels.find("n02"), 1);
}

TEST_F(LabelsTest, TimmNamesMustFitTheModel) {
  EXPECT_THAT(error_of(R"({"label_names": ["a"]})", 2),
              AllOf(HasSubstr("dir/config.json: label_names"), HasSubstr("2 classes"), HasSubstr("got 1")));
  EXPECT_THAT(error_of(R"({"pretrained_cfg": {"label_names": ["a"]}})", 2), HasSubstr("pretrained_cfg.label_names"));
  EXPECT_THAT(error_of(R"({"label_names": {"5": "a"}})", 2), HasSubstr("names class 5"));
  EXPECT_THAT(error_of(R"({"label_names": "a"})", 2), HasSubstr("expected a list of names"));
  EXPECT_THAT(error_of(R"({"label_names": ["a", {}]})", 2), HasSubstr("label_names[1]: expected a name"));
  EXPECT_THAT(error_of(R"({"label_names": ["a", "b"], "label_descriptions": ["x", "y"]})", 2),
              HasSubstr("label_descriptions: expected a map"));
}

TEST_F(LabelsTest, NamesOfSeveralClassesAreNotFound) {
  const ClassLabels labels = labels_of(R"({"label_names": ["crane", "cat", "crane", "crane"]})", 4);
  EXPECT_EQ(labels.find("crane"), std::nullopt);
  EXPECT_EQ(labels.find("cat"), 1);
}

TEST_F(LabelsTest, WithoutNames) {
  const ClassLabels numbers = labels_of("{}", 3);
  EXPECT_EQ(names_of(numbers), (Names{"class_0", "class_1", "class_2"}));
  EXPECT_EQ(numbers.source(), LabelSource::numbers);
  EXPECT_EQ(numbers.find("class_2"), 2);
  EXPECT_EQ(names_of(labels_of(R"({"id2label": null, "pretrained_cfg": {}})", 1)), (Names{"class_0"}));

  const ClassLabels imagenet = labels_of("{}", 1000);
  EXPECT_EQ(imagenet.source(), LabelSource::imagenet1k);
  EXPECT_EQ(imagenet.size(), 1000);
  EXPECT_EQ(imagenet.name(0), "tench, Tinca tinca");
  EXPECT_EQ(imagenet.name(281), "tabby, tabby cat");
  EXPECT_EQ(imagenet.name(999), "toilet tissue, toilet paper, bathroom tissue");
  EXPECT_EQ(imagenet.find("tabby, tabby cat"), 281);
  EXPECT_EQ(imagenet.find("crane"), std::nullopt);  // the bird and the machine
}

TEST_F(LabelsTest, FeaturesHaveNoLabels) {
  const ClassLabels labels = labels_of(R"({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}})", 0);
  EXPECT_EQ(labels.size(), 0);
  EXPECT_EQ(labels.find("LABEL_0"), std::nullopt);
  EXPECT_THAT(test::failure([&] { labels.name(0); }), HasSubstr("class 0 of 0"));
  EXPECT_THAT(test::failure([&] { labels_of("{}", 3).name(-1); }), HasSubstr("class -1 of 3"));
}

TEST_F(LabelsTest, Synsets) {
  EXPECT_EQ(imagenet_wnid(0), "n01440764");
  EXPECT_EQ(imagenet_wnid(999), "n15075141");
  for (int64_t i = 0; i < 1000; ++i) ASSERT_EQ(imagenet_index_of_wnid(imagenet_wnid(i)), i);
  EXPECT_EQ(imagenet_index_of_wnid("n00000000"), std::nullopt);
  EXPECT_EQ(imagenet_index_of_wnid(""), std::nullopt);
  EXPECT_THAT(test::failure([] { imagenet_wnid(1000); }), HasSubstr("no class 1000"));
}

TEST(LabelsWithoutFilesTest, NumbersInsteadOfNames) {
  const test::TempDir empty;
  const test::ScopedEnv home("VITKIT_HOME", empty.path().string());
  const ClassLabels labels = labels_of("{}", 1000);
  EXPECT_EQ(labels.source(), LabelSource::numbers);
  EXPECT_EQ(labels.name(999), "class_999");
  EXPECT_THAT(test::usage_error([] { imagenet_wnid(0); }), HasSubstr("imagenet1k.tsv"));
}

}  // namespace
}  // namespace vit
