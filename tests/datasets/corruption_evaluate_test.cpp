#include "datasets/corruption_evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/datasets/pictures.h"
#include "tests/support/errors.h"

namespace datasets {
namespace {

using testing::DoubleNear;
using testing::HasSubstr;
using testing::Optional;

vit::Preprocessor preprocessor(int64_t size) {
  vit::TimmPreprocess config;
  config.input_size = {size, size};
  config.crop_pct = 1.0;
  return vit::Preprocessor::timm(config);
}

/// Class 0 where the pixels differ as strongly as the data's do, class 1 where they were flattened.
CorruptedModel roughness_judge(double threshold) {
  return {.preprocessor = preprocessor(16), .classes = {0}, .logits = [threshold](const vit::Tensor& pixels) {
            vit::Tensor logits = vit::Tensor::zeros({pixels.size(0), 2});
            const int64_t values = pixels.numel() / pixels.size(0);
            for (int64_t b = 0; b < pixels.size(0); ++b) {
              double sum = 0.0;
              for (int64_t i = 1; i < values; ++i)
                sum += std::abs(pixels.f32()[b * values + i] - pixels.f32()[b * values + i - 1]);
              logits.f32()[2 * b + (sum / static_cast<double>(values) > threshold ? 0 : 1)] = 4.0f;
            }
            return logits;
          }};
}

TEST(EvaluateCorruptions, MeasuresEveryFamilyAndSeverity) {
  const test::MemoryDataset data(10, 20, 20, 1);
  std::vector<std::string> told;
  const std::vector<CorruptionResult> results = evaluate_corruptions(
      roughness_judge(0.8), data,
      {.families = {"contrast", "brightness"}, .severities = {1, 5}, .limit = 7, .batch_size = 3},
      [&](const CorruptionResult& result) { told.push_back(result.family + std::to_string(result.severity)); });
  EXPECT_THAT(told, testing::ElementsAre("0", "brightness1", "brightness5", "contrast1", "contrast5"));
  ASSERT_EQ(results.size(), 5u);
  for (const CorruptionResult& result : results) EXPECT_EQ(result.pictures, 7);
  EXPECT_EQ(results[0].accuracy, 1.0);
  EXPECT_EQ(results[4].accuracy, 0.0) << "flattened to 0.15";
  const double confidence = 1.0 / (1.0 + std::exp(-4.0));
  EXPECT_NEAR(results[0].confidence, confidence, 1e-6);
  EXPECT_NEAR(results[0].calibration, 1.0 - confidence, 1e-6);
  EXPECT_NEAR(results[4].calibration, confidence, 1e-6) << "sure and wrong";
  EXPECT_NEAR(results[0].loss, -std::log(confidence), 1e-6);
  const CorruptionErrors errors = errors_of(results);
  EXPECT_THAT(errors.clean, Optional(DoubleNear(0.0, 1e-12)));
  EXPECT_EQ(errors.corrupted.at("contrast").at(5), 1.0);
}

TEST(EvaluateCorruptions, DoesNotDependOnBatches) {
  const test::MemoryDataset data(9, 20, 20, 1);
  double sums[2] = {0.0, 0.0};
  for (int i = 0; i < 2; ++i) {
    CorruptedModel model = roughness_judge(0.5);
    double& sum = sums[i];
    model.logits = [&sum](const vit::Tensor& pixels) {
      for (const float value : pixels.span<float>()) sum += value;
      return vit::Tensor::zeros({pixels.size(0), 2});
    };
    const std::vector<CorruptionResult> results = evaluate_corruptions(
        model, data, {.families = {"gaussian_noise", "snow"}, .severities = {3}, .batch_size = i == 0 ? 1 : 4});
    EXPECT_EQ(results.size(), 3u);
  }
  EXPECT_EQ(sums[0], sums[1]);
}

TEST(EvaluateCorruptions, LeavesUnreadablePicturesOut) {
  const test::MemoryDataset data(6, 20, 20, 1, {0, 4});
  const CorruptedModel model = roughness_judge(0.0);
  std::vector<CorruptionResult> results = evaluate_corruptions(model, data, {.families = {"fog"}, .severities = {1}});
  for (const CorruptionResult& result : results) {
    EXPECT_EQ(result.pictures, 4);
    EXPECT_EQ(result.unreadable, 2);
    EXPECT_EQ(result.accuracy, 1.0);
  }
  const test::MemoryDataset broken(2, 20, 20, 1, {0, 1});
  results = evaluate_corruptions(model, broken, {.families = {"fog"}, .severities = {1}});
  EXPECT_TRUE(std::isnan(results[0].accuracy));
  EXPECT_TRUE(errors_of(results).corrupted.empty());
}

TEST(EvaluateCorruptions, RefusesWhatMakesNoSense) {
  const test::MemoryDataset data(6, 20, 20, 1);
  const CorruptedModel model = roughness_judge(0.5);
  const auto refused = [&](const CorruptedModel& with, const CorruptionEvaluation& options) {
    return vit::test::usage_error([&] { static_cast<void>(evaluate_corruptions(with, data, options)); });
  };
  EXPECT_THAT(refused(model, {.families = {"frog"}}), HasSubstr("did you mean 'fog'"));
  EXPECT_THAT(refused(model, {.families = {}}), HasSubstr("no family"));
  EXPECT_THAT(refused(model, {.severities = {6}}), HasSubstr("1 to 5, got 6"));
  EXPECT_THAT(refused(model, {.severities = {}}), HasSubstr("no severity"));
  EXPECT_THAT(refused(model, {.limit = -1}), HasSubstr("limit"));
  CorruptedModel other = model;
  other.classes = {0, 1};
  EXPECT_THAT(refused(other, {}), HasSubstr("2 classes"));
  other = model;
  other.preprocessor = vit::Preprocessor({vit::ResizeShortest{.size = 20}}, {});
  EXPECT_THAT(refused(other, {}), HasSubstr("any size"));
}

}  // namespace
}  // namespace datasets
