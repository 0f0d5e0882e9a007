// The set criterion: its parts against their definitions, and what becomes of proposals, denoising queries, and batches
// without objects. Numbers of the original are in the reference case C2.
#include "detection/set_criterion.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "detection/box_losses.h"
#include "tests/support/errors.h"
#include "vit/autograd/tape.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"

namespace detection {
namespace {

using vit::BoxTargets;
using vit::Context;
using vit::Tensor;
using vit::Var;

constexpr int64_t kBatch = 2, kQueries = 6, kClasses = 3;

Tensor random(const vit::Shape& shape, uint64_t stream, bool squashed) {
  Tensor tensor = Tensor::empty(shape);
  vit::Rng rng(5, stream);
  vit::fill_normal(tensor, rng, 1.0f);
  if (squashed)
    for (float& value : tensor.span<float>()) value = 1.0f / (1.0f + std::exp(-value));
  return tensor;
}

DetectionLevel level(uint64_t stream, Scoring scoring, int64_t queries = kQueries) {
  const int64_t width = kClasses + (scoring == Scoring::softmax ? 1 : 0);
  return {Var::leaf(random({kBatch, queries, width}, stream, false)),
          Var::leaf(random({kBatch, queries, 4}, stream + 100, true))};
}

std::vector<BoxTargets> some_targets() {
  return {{random({2, 4}, 1, true), Tensor::from<int64_t>({2, 0}, {2})},
          {random({1, 4}, 2, true), Tensor::from<int64_t>({1}, {1})}};
}
std::vector<BoxTargets> no_targets() { return {{Tensor::zeros({0, 4}), Tensor::zeros({0}, vit::DType::i64)}, {}}; }

std::map<std::string, double> parts_of(const CriterionResult& result) {
  return {result.parts.begin(), result.parts.end()};
}

CriterionResult run(const CriterionConfig& config, const DetectionOutput& output,
                    const std::vector<BoxTargets>& targets) {
  const bool softmax = config.class_loss == ClassLoss::cross_entropy;
  const SetCriterion criterion(config, softmax ? Scoring::softmax : Scoring::sigmoid, kClasses);
  Context ctx;
  vit::Tape tape(ctx);
  ctx.tape = &tape;
  CriterionResult result = criterion(ctx, output, targets);
  tape.backward(result.total);
  return result;
}

class EveryClassLoss : public testing::TestWithParam<ClassLoss> {
 protected:
  CriterionConfig config() const { return default_criterion(GetParam()); }
  Scoring scoring() const { return GetParam() == ClassLoss::cross_entropy ? Scoring::softmax : Scoring::sigmoid; }
  std::string class_part() const { return GetParam() == ClassLoss::varifocal ? "loss_vfl" : "loss_ce"; }
};

TEST_P(EveryClassLoss, TotalIsTheWeightedSumOfAllLevels) {
  const DetectionOutput output{.levels = {level(10, scoring()), level(20, scoring()), level(30, scoring())}};
  const CriterionResult result = run(config(), output, some_targets());
  auto parts = parts_of(result);
  double sum = 0.0;
  for (const std::string suffix : {"_0", "_1", ""}) {
    sum += config().class_loss_coef * parts.at(class_part() + suffix) +
           config().bbox_loss_coef * parts.at("loss_bbox" + suffix) +
           config().giou_loss_coef * parts.at("loss_giou" + suffix);
    EXPECT_TRUE(parts.contains("cardinality_error" + suffix));
  }
  EXPECT_NEAR(result.total.value().f32()[0], sum, 1e-5 * sum);
  ASSERT_EQ(result.matches.size(), 3u);
  for (const auto& of_level : result.matches) {
    EXPECT_EQ(of_level[0].size(), 2u);
    EXPECT_EQ(of_level[1].size(), 1u);
  }
  for (const DetectionLevel& each : output.levels) {
    EXPECT_TRUE(each.logits.grad().defined());
    EXPECT_TRUE(each.boxes.grad().defined());
  }
}

TEST_P(EveryClassLoss, BoxesOfMatchesAloneCount) {
  const DetectionOutput output{.levels = {level(10, scoring())}};
  const CriterionResult result = run(config(), output, some_targets());
  double l1 = 0.0;
  std::vector<bool> matched(kBatch * kQueries);
  for (size_t b = 0; b < kBatch; ++b)
    for (const auto& [query, target] : result.matches[0][b]) {
      const int64_t row = static_cast<int64_t>(b) * kQueries + query;
      matched[static_cast<size_t>(row)] = true;
      for (int64_t k = 0; k < 4; ++k)
        l1 +=
            std::abs(output.levels[0].boxes.value().f32()[4 * row + k] - some_targets()[b].boxes.f32()[4 * target + k]);
    }
  EXPECT_NEAR(parts_of(result).at("loss_bbox"), l1 / 3.0, 1e-6);
  const Tensor& gradient = output.levels[0].boxes.grad();
  for (int64_t row = 0; row < kBatch * kQueries; ++row)
    EXPECT_EQ(gradient.f32()[4 * row] != 0.0f, matched[static_cast<size_t>(row)]) << row;
}

TEST_P(EveryClassLoss, WithoutObjectsOnlyTheBackgroundIsLearnt) {
  const DetectionOutput output{.levels = {level(10, scoring())}};
  const CriterionResult result = run(config(), output, no_targets());
  const auto parts = parts_of(result);
  EXPECT_EQ(parts.at("loss_bbox"), 0.0);
  EXPECT_EQ(parts.at("loss_giou"), 0.0);
  EXPECT_GT(parts.at(class_part()), 0.0);
  EXPECT_TRUE(std::isfinite(result.total.value().f32()[0]));
  for (const float value : output.levels[0].boxes.grad().span<float>()) EXPECT_EQ(value, 0.0f);
}

TEST_P(EveryClassLoss, ProposalsWithoutClassCountTargetsAsTheFirst) {
  const DetectionLevel proposals = level(40, scoring(), 9);
  const auto enc_loss = [&](bool without_class, const std::vector<BoxTargets>& targets) {
    const DetectionOutput output{
        .levels = {level(10, scoring())}, .proposals = proposals, .proposals_without_class = without_class};
    return parts_of(run(config(), output, targets)).at(class_part() + "_enc");
  };
  std::vector<BoxTargets> first = some_targets();
  for (BoxTargets& picture : first) picture.labels = Tensor::zeros(picture.labels.shape(), vit::DType::i64);
  EXPECT_EQ(enc_loss(true, some_targets()), enc_loss(false, first));
  EXPECT_NE(enc_loss(true, some_targets()), enc_loss(false, some_targets()));
}

TEST_P(EveryClassLoss, DenoisingQueriesKeepTheirMatches) {
  DenoisingLevels denoising{.levels = {level(50, scoring(), 4), level(60, scoring(), 4)},
                            .matches = {{{3, 1}, {0, 0}}, {{2, 0}}},
                            .groups = 2};
  const DetectionOutput output{.levels = {level(10, scoring())}, .denoising = denoising};
  const auto parts = parts_of(run(config(), output, some_targets()));
  const auto l1 = [&](const DetectionLevel& of) {
    Context ctx;
    const Tensor rows = of.boxes.value().view({kBatch * 4, 4});
    Tensor wanted = Tensor::empty({3, 4});
    std::copy_n(some_targets()[0].boxes.f32() + 4, 4, wanted.f32());
    std::copy_n(some_targets()[0].boxes.f32(), 4, wanted.f32() + 4);
    std::copy_n(some_targets()[1].boxes.f32(), 4, wanted.f32() + 8);
    return box_l1_loss(ctx, rows, {{3, 0, 4 + 2}, wanted}, 3.0 * 2.0).value().f32()[0];
  };
  EXPECT_NEAR(parts.at("loss_bbox_dn_0"), l1(denoising.levels[0]), 1e-6);
  EXPECT_NEAR(parts.at("loss_bbox_dn"), l1(denoising.levels[1]), 1e-6);
  EXPECT_TRUE(parts.contains(class_part() + "_dn"));
  EXPECT_FALSE(parts.contains("cardinality_error_dn"));
}

TEST_P(EveryClassLoss, SameBitsOnAnyThreads) {
  std::vector<std::vector<float>> gradients;
  const int threads = vit::num_threads();
  for (const int count : {1, 3}) {
    vit::set_num_threads(count);
    const DetectionOutput output{.levels = {level(10, scoring(), 700), level(20, scoring(), 700)}};
    run(config(), output, some_targets());
    const std::span<float> all = output.levels[0].logits.grad().span<float>();
    gradients.emplace_back(all.begin(), all.end());
  }
  vit::set_num_threads(threads);
  EXPECT_EQ(gradients[0], gradients[1]);
}

TEST_P(EveryClassLoss, RefusesWhatCannotBeMatched) {
  const DetectionOutput output{.levels = {level(10, scoring()), level(20, scoring())}};
  const SetCriterion criterion(config(), scoring(), kClasses);
  Context ctx;
  const auto refused = [&](const std::vector<BoxTargets>& targets) {
    return vit::test::failure([&] { criterion(ctx, output, targets); });
  };
  std::vector<BoxTargets> bad = some_targets();
  bad[1].boxes.f32()[2] = std::nanf("");
  EXPECT_THAT(refused(bad), testing::HasSubstr("target boxes of picture 1"));
  bad = some_targets();
  bad[0].labels.data<int64_t>()[1] = 3;
  EXPECT_THAT(refused(bad), testing::HasSubstr("label 3 in picture 0 is outside [0, 3)"));
  EXPECT_THAT(refused({}), testing::HasSubstr("0 pictures' targets for 2 pictures"));
  const SetCriterion other(config(), scoring(), kClasses + 1);
  EXPECT_THAT(vit::test::failure([&] { other(ctx, output, some_targets()); }),
              testing::HasSubstr("expected logits [B, Q, "));
  output.levels[0].boxes.value().f32()[5] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(refused(some_targets()), testing::HasSubstr("the boxes of level '0' hold inf"));
}

INSTANTIATE_TEST_SUITE_P(All, EveryClassLoss,
                         testing::Values(ClassLoss::cross_entropy, ClassLoss::focal, ClassLoss::varifocal),
                         [](const auto& item) {
                           return enum_names(item.param)[static_cast<size_t>(item.param)].second;
                         });

TEST(SetCriterion, VarifocalTargetsAreTheIous) {
  // One query, matched, its logit at the IoU's logit: nothing to learn there.
  const float iou = 0.5f;
  const DetectionOutput output{.levels = {{Var::leaf(Tensor::full({1, 1, 1}, std::log(iou / (1.0f - iou)))),
                                           Var::leaf(Tensor::from<float>({0.5f, 0.5f, 0.2f, 0.4f}, {1, 1, 4}))}}};
  const SetCriterion criterion(default_criterion(ClassLoss::varifocal), Scoring::sigmoid, 1);
  Context ctx;
  vit::Tape tape(ctx);
  ctx.tape = &tape;
  const CriterionResult result = criterion(
      ctx, output, {{Tensor::from<float>({0.5f, 0.5f, 0.2f, 0.2f}, {1, 4}), Tensor::from<int64_t>({0}, {1})}});
  tape.backward(result.total);
  EXPECT_NEAR(output.levels[0].logits.grad().f32()[0], 0.0f, 1e-6f);
  EXPECT_EQ(parts_of(result).at("class_error"), 0.0);
}

TEST(SetCriterion, RefusesALossThatTheModelCannotHave) {
  EXPECT_THAT(
      vit::test::usage_error([] { SetCriterion(default_criterion(ClassLoss::focal), Scoring::softmax, kClasses); }),
      testing::HasSubstr("criterion.class_loss"));
  CriterionConfig config;
  config.cost_class = config.cost_bbox = config.cost_giou = 0.0;
  EXPECT_THAT(vit::test::usage_error([&] { config.validate(); }), testing::HasSubstr("cost_class"));
}

}  // namespace
}  // namespace detection
