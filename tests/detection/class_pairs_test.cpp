#include "detection/class_pairs.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "vit/models/labels.h"

namespace detection {
namespace {

using ::testing::HasSubstr;
using vit::test::usage_error;

/// Classes and their numbers; no pictures.
class Classes : public datasets::BoxDataset {
 public:
  explicit Classes(std::vector<std::string> names, std::vector<int64_t> ids = {})
      : names_(std::move(names)), ids_(std::move(ids)) {}
  int64_t size() const override { return 0; }
  const std::vector<std::string>& class_names() const override { return names_; }
  std::string source(int64_t) const override { return {}; }
  vit::Image load(int64_t) const override { return {}; }
  std::vector<datasets::BoxAnnotation> boxes(int64_t) const override { return {}; }
  std::vector<int64_t> category_ids() const override { return ids_.empty() ? BoxDataset::category_ids() : ids_; }

 private:
  std::vector<std::string> names_;
  std::vector<int64_t> ids_;
};

vit::ClassLabels labels(const std::vector<std::string>& names) { return vit::ClassLabels::from_names(names); }
vit::ClassLabels numbers(int64_t count) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) names.push_back("class_" + std::to_string(i));
  return vit::ClassLabels::from_names(names, vit::LabelSource::numbers);
}

TEST(ClassPairs, ByNameWhereAnyFits) {
  const ClassPairs pairs =
      pair_classes(Classes({"Dog", "traffic-light", "unicorn"}), labels({"N/A", "person", "traffic light", "dog"}));
  EXPECT_EQ(pairs.rule, PairingRule::name);
  EXPECT_EQ(pairs.of_model, (std::vector<int64_t>{-1, -1, 1, 0}));
  EXPECT_EQ(pairs.unknown, (std::vector<std::string>{"unicorn"}));
}

TEST(ClassPairs, ByCategoryIdWhereTheModelHasNoNames) {
  const Classes data({"person", "dog"}, {1, 18});
  for (const auto& model : {numbers(91), labels({"LABEL_0", "LABEL_1"})}) {
    const ClassPairs pairs = pair_classes(data, model);
    EXPECT_EQ(pairs.rule, model.size() == 91 ? PairingRule::id : PairingRule::rank);
    EXPECT_EQ(pairs.of_model[1], model.size() == 91 ? 0 : 1);
  }
  EXPECT_EQ(pair_classes(data, numbers(91)).of_model[18], 1);
  EXPECT_EQ(pair_classes(Classes({"a", "b"}), numbers(91)).rule, PairingRule::rank) << "0, 1 is a count";
}

TEST(ClassPairs, WhatCannotBeTheSameIsRefused) {
  EXPECT_THAT(usage_error([] {
                pair_classes(Classes({"rbc", "wbc"}), labels({"cat", "dog"}));
              }),
              HasSubstr("none of the data's 2 classes (rbc, wbc) is one of the model's 2 (cat, dog)"));
  EXPECT_THAT(usage_error([] { pair_classes(Classes({"a", "b", "c"}), numbers(2)); }), HasSubstr("3 classes"));
  EXPECT_THAT(usage_error([] { pair_classes(Classes({"Dog", "dog"}), labels({"dog"})); }), HasSubstr("both class 0"));
}

}  // namespace
}  // namespace detection
