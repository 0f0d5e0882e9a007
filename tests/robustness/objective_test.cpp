#include "vit/robustness/objective.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/errors.h"
#include "vit/core/rng.h"

namespace vit {
namespace {

using test::failure;
using test::usage_error;
using testing::HasSubstr;

std::vector<float> random_logits(int64_t classes, uint64_t stream) {
  std::vector<float> logits(static_cast<size_t>(classes));
  Rng rng(5, stream);
  for (float& value : logits) value = 2.0f * rng.normal();
  return logits;
}

/// The formulas as the papers write them.
double plain_objective(AttackLoss loss, const std::vector<float>& z, const AttackGoal& goal) {
  const auto at = [&](int64_t k) { return static_cast<double>(z[static_cast<size_t>(k)]); };
  if (loss == AttackLoss::cross_entropy) {
    double total = 0.0;
    for (const float value : z) total += std::exp(static_cast<double>(value));
    const bool targeted = goal.target >= 0;
    const double entropy = std::log(total) - at(targeted ? goal.target : goal.label);
    return targeted ? -entropy : entropy;
  }
  std::vector<double> sorted(z.begin(), z.end());
  std::sort(sorted.rbegin(), sorted.rend());
  if (goal.target >= 0) return -(at(goal.label) - at(goal.target)) / (sorted[0] - 0.5 * (sorted[2] + sorted[3]));
  double other = -1e30;
  for (int64_t k = 0; k < static_cast<int64_t>(z.size()); ++k)
    if (k != goal.label) other = std::max(other, at(k));
  return -(at(goal.label) - other) / (sorted[0] - sorted[2]);
}

class ObjectiveTest : public testing::TestWithParam<std::pair<AttackLoss, bool>> {
 protected:
  AttackLoss loss_ = GetParam().first;
  AttackGoal goal(int64_t label) const { return {.label = label, .target = GetParam().second ? (label + 2) % 6 : -1}; }
};

TEST_P(ObjectiveTest, IsThePapersFormula) {
  for (uint64_t stream = 0; stream < 20; ++stream) {
    const std::vector<float> z = random_logits(6, stream);
    for (int64_t label = 0; label < 6; ++label)
      ASSERT_NEAR(attack_objective(loss_, z.data(), 6, goal(label)), plain_objective(loss_, z, goal(label)), 1e-9)
          << "logits " << stream << ", label " << label;
  }
}

TEST_P(ObjectiveTest, GradientIsTheSlope) {
  constexpr float kStep = 1e-3f;
  for (uint64_t stream = 0; stream < 20; ++stream) {
    const std::vector<float> z = random_logits(6, stream);
    for (int64_t label = 0; label < 6; ++label) {
      std::vector<float> gradient(6);
      attack_objective(loss_, z.data(), 6, goal(label), gradient.data());
      for (size_t k = 0; k < 6; ++k) {
        std::vector<float> above = z, below = z;
        above[k] += kStep;
        below[k] -= kStep;
        const double run = static_cast<double>(above[k]) - below[k];
        const double slope =
            (plain_objective(loss_, above, goal(label)) - plain_objective(loss_, below, goal(label))) / run;
        ASSERT_NEAR(gradient[k], slope, 1e-4 * (1.0 + std::abs(slope))) << "logit " << k << ", label " << label;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, ObjectiveTest,
                         testing::Values(std::pair{AttackLoss::cross_entropy, false},
                                         std::pair{AttackLoss::cross_entropy, true}, std::pair{AttackLoss::dlr, false},
                                         std::pair{AttackLoss::dlr, true}),
                         [](const auto& tested) {
                           return std::string(tested.param.first == AttackLoss::dlr ? "dlr" : "ce") +
                                  (tested.param.second ? "_targeted" : "");
                         });

TEST(Dlr, NeitherShiftNorScaleMatters) {
  const std::vector<float> z = random_logits(5, 1);
  std::vector<float> moved = z;
  for (float& value : moved) value = 8.0f * value + 4.0f;
  EXPECT_NEAR(attack_objective(AttackLoss::dlr, z.data(), 5, {.label = 2}),
              attack_objective(AttackLoss::dlr, moved.data(), 5, {.label = 2}), 1e-5);
}

TEST(Dlr, IsAboveZeroExactlyWhereTheAnswerIsWrong) {
  for (uint64_t stream = 0; stream < 50; ++stream) {
    const std::vector<float> z = random_logits(5, stream);
    EXPECT_EQ(attack_objective(AttackLoss::dlr, z.data(), 5, {.label = 1}) > 0.0, is_fooled(z.data(), 5, {.label = 1}));
  }
}

TEST(Dlr, NeedsEnoughClasses) {
  const std::vector<float> z = {1.0f, 0.0f, 2.0f};
  EXPECT_THAT(usage_error([&] { attack_objective(AttackLoss::dlr, z.data(), 2, {.label = 0}); }),
              HasSubstr("3 classes or more"));
  EXPECT_THAT(usage_error([&] { attack_objective(AttackLoss::dlr, z.data(), 3, {.label = 0, .target = 1}); }),
              HasSubstr("4 classes or more for a targeted attack"));
}

TEST(CrossEntropy, StaysFiniteForLogitsFarApart) {
  const std::vector<float> z = {1000.0f, -1000.0f};
  std::vector<float> gradient(2);
  EXPECT_DOUBLE_EQ(attack_objective(AttackLoss::cross_entropy, z.data(), 2, {.label = 1}, gradient.data()), 2000.0);
  EXPECT_EQ(gradient, (std::vector<float>{1.0f, -1.0f}));
}

TEST(IsFooled, UntargetedIsWrongAndTargetedIsTheTarget) {
  const std::vector<float> z = {0.0f, 3.0f, 3.0f};
  EXPECT_EQ(predicted_class(z.data(), 3), 1) << "of equal logits the first";
  EXPECT_FALSE(is_fooled(z.data(), 3, {.label = 1}));
  EXPECT_TRUE(is_fooled(z.data(), 3, {.label = 2}));
  EXPECT_TRUE(is_fooled(z.data(), 3, {.label = 0, .target = 1}));
  EXPECT_FALSE(is_fooled(z.data(), 3, {.label = 0, .target = 2}));
}

TEST(AttackObjective, RefusesClassesThatAreNone) {
  const std::vector<float> z = {0.0f, 3.0f};
  EXPECT_THAT(failure([&] { attack_objective(AttackLoss::cross_entropy, z.data(), 2, {.label = 2}); }),
              HasSubstr("among the model's 2 classes"));
}

}  // namespace
}  // namespace vit
