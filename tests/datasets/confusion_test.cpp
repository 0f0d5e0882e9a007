#include "datasets/confusion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"

namespace datasets {
namespace {

using testing::HasSubstr;
using vit::test::failure;
using Cell = ConfusionMatrix::Cell;

/// Three pictures of 0 (taken for 0, 1, 1), two of 1 (1, 2); class 2 was predicted only, class 3 neither.
ConfusionMatrix example() {
  ConfusionMatrix confusion(4);
  for (const auto& [target, predicted] : {std::pair{0, 1}, {1, 2}, {0, 0}, {1, 1}, {0, 1}})
    confusion.add(target, predicted);
  return confusion;
}

TEST(Confusion, Counts) {
  const ConfusionMatrix confusion = example();
  EXPECT_THAT(confusion.cells(), testing::ElementsAre(Cell{0, 0, 1}, Cell{0, 1, 2}, Cell{1, 1, 1}, Cell{1, 2, 1}));
  EXPECT_EQ(confusion.count(0, 1), 2);
  EXPECT_EQ(confusion.count(2, 2), 0);
  EXPECT_EQ(confusion.pictures(0), 3);
  EXPECT_EQ(confusion.predictions(1), 3);
  EXPECT_EQ(confusion.pictures(3), 0);
}

TEST(Confusion, FiguresPerClass) {
  const ConfusionMatrix confusion = example();
  EXPECT_DOUBLE_EQ(confusion.precision(0), 1.0);
  EXPECT_DOUBLE_EQ(confusion.recall(0), 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(confusion.f1(0), 0.5) << "the harmonic mean of 1 and 1/3";
  EXPECT_DOUBLE_EQ(confusion.precision(1), 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(confusion.recall(1), 0.5);
  EXPECT_DOUBLE_EQ(confusion.f1(1), 0.4);
}

TEST(Confusion, WhatIsNotDefinedIsNan) {
  const ConfusionMatrix confusion = example();
  EXPECT_EQ(confusion.precision(2), 0.0);
  EXPECT_TRUE(std::isnan(confusion.recall(2)));
  EXPECT_EQ(confusion.f1(2), 0.0);
  EXPECT_TRUE(std::isnan(confusion.precision(3)));
  EXPECT_TRUE(std::isnan(confusion.f1(3)));
}

TEST(Confusion, WorstMistake) {
  ConfusionMatrix confusion = example();
  EXPECT_EQ(confusion.worst_mistake(0), (Cell{0, 1, 2}));
  EXPECT_EQ(confusion.worst_mistake(3).count, 0);
  confusion.add(1, 0);
  EXPECT_EQ(confusion.worst_mistake(1), (Cell{1, 0, 1})) << "of equals the lower class";
}

TEST(Confusion, RefusesWhatIsNoClass) {
  ConfusionMatrix confusion(2);
  EXPECT_THAT(failure([&] { confusion.add(2, 0); }), HasSubstr("class 2 of 2"));
  EXPECT_THAT(failure([&] { confusion.add(0, -1); }), HasSubstr("class -1 of 2"));
  EXPECT_THAT(failure([&] { confusion.f1(2); }), HasSubstr("class 2 of 2"));
  EXPECT_TRUE(confusion.cells().empty());
  failure([] { ConfusionMatrix(0); });
}

}  // namespace
}  // namespace datasets
