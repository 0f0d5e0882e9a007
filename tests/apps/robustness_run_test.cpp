// The work of `vitkit robustness` without a process: which pictures are measured, and what their figures are.
#include "apps/robustness_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <new>
#include <numeric>

#include "apps/robustness_corruptions.h"
#include "tests/datasets/pictures.h"

namespace apps {
namespace {

using datasets::test::MemoryDataset;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

vit::Preprocessor preprocessor() {
  vit::TimmPreprocess config;
  config.input_size = {16, 16};
  config.crop_pct = 1.0;
  return vit::Preprocessor::timm(config);
}

/// Class 0 where the pixels differ as strongly as the data's do, class 1 where they were flattened.
class RoughnessTarget : public vit::AttackTarget {
 public:
  vit::Var logits(vit::Context&, const vit::Var& pixels) const override {
    const vit::Tensor x = pixels.value();
    vit::Tensor logits = vit::Tensor::zeros({x.size(0), 2});
    const int64_t values = x.numel() / x.size(0);
    for (int64_t b = 0; b < x.size(0); ++b) {
      double sum = 0.0;
      for (int64_t i = 1; i < values; ++i) sum += std::abs(x.f32()[b * values + i] - x.f32()[b * values + i - 1]);
      logits.f32()[2 * b + (sum / static_cast<double>(values) > 0.18 ? 0 : 1)] = 4.0f;
    }
    return vit::Var(logits);
  }
};

void ignore_progress(int64_t) {}

TEST(MeasureCondition, HasTheFiguresOfEveryFamilyAndSeverity) {
  const MemoryDataset data(10, 20, 20, 1);
  const vit::Preprocessor seen = preprocessor();
  RobustnessPictures pictures(data, seen, {0}, 7, 3);
  const RoughnessTarget target;
  std::vector<ConditionResult> results = {measure(pictures, target, {.kind = "clean"}, ignore_progress)};
  for (const Condition& condition :
       corruption_conditions({.families = {"contrast", "brightness"}, .severities = {5, 1}}, 0))
    results.push_back(measure(pictures, target, condition, ignore_progress));
  ASSERT_EQ(results.size(), 5u);
  EXPECT_EQ(results[4].condition.title, "contrast 5");
  for (const ConditionResult& result : results) EXPECT_EQ(result.figures.count(), 7);
  EXPECT_EQ(results[0].figures.accuracy(), 1.0);
  EXPECT_EQ(results[4].figures.accuracy(), 0.0) << "flattened to 0.15";
  const double confidence = 1.0 / (1.0 + std::exp(-4.0));
  EXPECT_NEAR(results[0].figures.calibration().confidence(), confidence, 1e-6);
  EXPECT_NEAR(results[0].figures.calibration().expected_error(), 1.0 - confidence, 1e-6);
  EXPECT_NEAR(results[4].figures.calibration().expected_error(), confidence, 1e-6) << "sure and wrong";
  EXPECT_NEAR(results[0].figures.loss(), -std::log(confidence), 1e-6);
  const datasets::CorruptionErrors errors = corruption_errors(results);
  EXPECT_THAT(errors.clean, Optional(DoubleNear(0.0, 1e-12)));
  EXPECT_EQ(errors.corrupted.at("contrast").at(5), 1.0);
}

TEST(RobustnessPictures, AreTheSameInAnyBatch) {
  const MemoryDataset data(9, 20, 20, 1);
  const vit::Preprocessor seen = preprocessor();
  const Condition snow = corruption_conditions({.families = {"snow"}, .severities = {3}}, 5).at(0);
  const auto values = [&](int64_t batch_size) {
    RobustnessPictures pictures(data, seen, {0}, 0, batch_size);
    std::vector<float> all;
    pictures.each_batch(snow.change, [&](const vit::AttackBatch& batch) {
      const auto some = batch.pixels.span<float>();
      all.insert(all.end(), some.begin(), some.end());
    });
    return all;
  };
  const std::vector<float> one = values(1);
  EXPECT_EQ(one.size(), 9u * 3u * 16u * 16u);
  EXPECT_EQ(values(4), one);
}

/// Its picture 1 is too large for the memory, and what its picture 2 throws is no exception of any kind.
class UnfortunateDataset : public MemoryDataset {
 public:
  UnfortunateDataset() : MemoryDataset(5, 20, 20, 1, {3}) {}
  vit::Image load(int64_t index) const override {
    if (index == 1) throw std::bad_alloc();
    if (index == 2) throw 7;
    return MemoryDataset::load(index);
  }
};

TEST(RobustnessPictures, AnyErrorOfAPictureCostsThatPictureOnly) {
  const UnfortunateDataset data;
  const vit::Preprocessor seen = preprocessor();
  RobustnessPictures pictures(data, seen, {0}, 0, 2);
  std::vector<int64_t> numbers;
  for (int round = 0; round < 2; ++round)
    pictures.each_batch({}, [&](const vit::AttackBatch& batch) {
      numbers.insert(numbers.end(), batch.numbers.begin(), batch.numbers.end());
    });
  EXPECT_THAT(numbers, ElementsAre(0, 4, 0, 4));
  ASSERT_EQ(pictures.unreadable().size(), 3u) << "each is tried once";
  EXPECT_EQ(pictures.unreadable()[0].source, "memory/1");
  EXPECT_THAT(pictures.unreadable()[0].error, HasSubstr("bad_alloc"));
  EXPECT_EQ(pictures.unreadable()[1].error, "unknown error");
  EXPECT_EQ(pictures.unreadable()[2].error, "is broken") << "its name is beside it";
}

TEST(MeasureCondition, CountsWhatCannotBeAimedAt) {
  const MemoryDataset data(6, 20, 20, 2);
  const vit::Preprocessor seen = preprocessor();
  RobustnessPictures pictures(data, seen, {0, 1}, 0, 1);
  Condition condition{.kind = "attack", .name = "none", .title = "none", .targeted = true};
  condition.aim = [](const vit::AttackBatch& batch) {
    if (batch.goals.at(0).label == 0) return vit::AttackBatch();
    vit::AttackBatch aimed = batch;
    aimed.goals[0].target = 0;
    return aimed;
  };
  const ConditionResult result = measure(pictures, RoughnessTarget(), condition, ignore_progress);
  EXPECT_EQ(result.left_out, 3);
  EXPECT_EQ(result.figures.count(), 3);
  EXPECT_EQ(result.figures.reached(), 1.0) << "of those that could be aimed at";
  EXPECT_EQ(condition_record(result, 0)["left_out"], 3);
  EXPECT_THAT(condition_text(result), HasSubstr("3 of the target class left out"));
}

}  // namespace
}  // namespace apps
