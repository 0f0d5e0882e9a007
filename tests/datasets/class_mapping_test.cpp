#include "datasets/class_mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "datasets/open.h"
#include "tests/support/env.h"
#include "tests/support/errors.h"
#include "vit/models/labels.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::ClassLabels;
using vit::test::usage_error;

const ClassLabels& animals() {
  static const ClassLabels labels = ClassLabels::from_names({"cat", "sea lion, seal", "dog", "dog"});
  return labels;
}

TEST(ClassMapping, ByNameWhereLabelsMatch) {
  const ClassMapping mapping = map_classes({"Sea_Lion", "cat"}, animals());
  EXPECT_EQ(mapping.rule, MappingRule::name);
  EXPECT_THAT(mapping.classes, ElementsAre(1, 0));
}

TEST(ClassMapping, ByRankWhereNothingMatches) {
  const ClassMapping mapping = map_classes({"0", "1", "2"}, animals());
  EXPECT_EQ(mapping.rule, MappingRule::rank);
  EXPECT_THAT(mapping.classes, ElementsAre(0, 1, 2));
}

TEST(ClassMapping, ServesFormatsWithoutFolders) {
  const std::shared_ptr<const Dataset> scenes = open_dataset("scenes:1:5:16").data;
  std::vector<std::string> reversed(scenes->class_names().rbegin(), scenes->class_names().rend());
  const ClassMapping by_name = map_classes(scenes->class_names(), ClassLabels::from_names(reversed));
  EXPECT_EQ(by_name.rule, MappingRule::name);
  EXPECT_THAT(by_name.classes, ElementsAre(9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
  // Labels of MNIST or of shards are numbers: those of a model that was trained on them are named so, those of another
  // are taken in order.
  const std::vector<std::string> numbers = {"0", "1", "2"};
  EXPECT_EQ(map_classes(numbers, ClassLabels::from_names({"0", "1", "2", "3"})).rule, MappingRule::name);
  EXPECT_EQ(map_classes(numbers, ClassLabels::from_names({"zero", "one", "two"})).rule, MappingRule::rank);
}

TEST(ClassMapping, RefusesHalves) {
  EXPECT_THAT(usage_error([] { map_classes({"cat", "zebra"}, animals()); }), HasSubstr("1 do not: zebra"));
  EXPECT_THAT(usage_error([] {
                map_classes({"cat", "dog"}, animals());
              }),
              HasSubstr("dog"))
      << "two classes have the name";
  EXPECT_THAT(usage_error([] { map_classes({"Cat", "cat"}, animals()); }), HasSubstr("both class 0"));
  EXPECT_THAT(usage_error([] { map_classes({"1", "2", "3", "4", "5"}, animals()); }), HasSubstr("5 classes"));
}

TEST(ClassMapping, ByWnidForAThousandClasses) {
  const vit::test::ScopedEnv home("VITKIT_HOME", VITKIT_SOURCE_DIR);
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("thing " + std::to_string(i));
  const ClassLabels labels = ClassLabels::from_names(names);
  const ClassMapping mapping = map_classes({"n01440764", "n15075141"}, labels);
  EXPECT_EQ(mapping.rule, MappingRule::wnid);
  EXPECT_THAT(mapping.classes, ElementsAre(0, 999));
  EXPECT_THAT(usage_error([&] { map_classes({"n01440764", "n99999999"}, labels); }), HasSubstr("n99999999"));
}

}  // namespace
}  // namespace datasets
