#include "vit/robustness/auto_pgd.h"

#include <gtest/gtest.h>

#include "tests/robustness/tiny_target.h"
#include "tests/support/errors.h"
#include "vit/robustness/attack.h"

namespace vit {
namespace {

using test::fooled_count;
using test::quarters;

TEST(AutoPgdCheckpoints, AreThePapers) {
  EXPECT_EQ(auto_pgd_checkpoints(100), (std::vector<int64_t>{0, 22, 41, 57, 70, 80, 87, 93, 99}));
  EXPECT_EQ(auto_pgd_checkpoints(20), (std::vector<int64_t>{0, 5, 9, 12, 14, 16, 18, 19, 20}));
  EXPECT_EQ(auto_pgd_checkpoints(1), (std::vector<int64_t>{0, 1}));
}

TEST(StepRule, KeepsAStepThatRises) {
  StepRule rule(0.2, 1.0);
  for (int k = 1; k <= 4; ++k) rule.saw(1.0 + k);
  EXPECT_FALSE(rule.halve_at_checkpoint());
  EXPECT_EQ(rule.step(), 0.2);
  EXPECT_EQ(rule.best(), 5.0);
}

TEST(StepRule, HalvesWhenFewerThanThreeQuartersRose) {
  StepRule rule(0.2, 1.0);
  for (const double objective : {2.0, 3.0, 2.5, 4.0}) rule.saw(objective);
  EXPECT_FALSE(rule.halve_at_checkpoint()) << "three of four are not fewer";
  for (const double objective : {3.0, 3.5, 3.2, 5.0}) rule.saw(objective);
  EXPECT_TRUE(rule.halve_at_checkpoint());
  EXPECT_EQ(rule.step(), 0.1);
}

TEST(StepRule, HalvesWhenNothingBetterWasFoundSinceTheLastCheckpoint) {
  StepRule rule(0.2, 1.0);
  for (const double objective : {2.0, 3.0, 4.0, 9.0}) rule.saw(objective);
  EXPECT_FALSE(rule.halve_at_checkpoint());
  for (const double objective : {1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0}) rule.saw(objective);
  EXPECT_TRUE(rule.halve_at_checkpoint()) << "it rose seven times of eight, to less than it had";
  for (const double objective : {9.0, 9.0, 9.0, 9.0}) rule.saw(objective);
  EXPECT_TRUE(rule.halve_at_checkpoint()) << "equal is no rise";
  EXPECT_EQ(rule.step(), 0.05);
}

TEST(StepRule, ComparesWithTheBestPointAfterItWentBackThere) {
  StepRule rule(0.2, 5.0);
  for (const double objective : {4.0, 3.0}) rule.saw(objective);
  ASSERT_TRUE(rule.halve_at_checkpoint());
  rule.saw(4.0);  // above 3, below the 5 that the search went back to
  EXPECT_TRUE(rule.halve_at_checkpoint());
}

class AutoPgdTest : public testing::TestWithParam<std::string> {
 protected:
  ModelTarget target_ = test::tiny_vit().target();
  AttackBatch batch_ = quarters(48, 1);
};

TEST_P(AutoPgdTest, IsAtLeastAsStrongAsFgsm) {
  for (const double eps : {0.02, 0.04}) {
    const AttackResult fgsm = attack("fgsm", target_, batch_, {.eps = eps});
    const AttackResult found = attack(GetParam(), target_, batch_, {.eps = eps, .steps = 20});
    EXPECT_GE(fooled_count(found), fooled_count(fgsm)) << eps;
    EXPECT_EQ(found.backwards, 48 * 20);
    EXPECT_EQ(found.forwards, 48 * 22) << "the picture as it is, the start and 20 steps";
  }
}

TEST_P(AutoPgdTest, TargetedReachesTheTarget) {
  for (AttackGoal& goal : batch_.goals) goal.target = (goal.label + 1) % test::kTinyClasses;
  EXPECT_EQ(fooled_count(attack(GetParam(), target_, batch_, {.eps = 0.2, .steps = 30})), 48);
}

TEST_P(AutoPgdTest, WorksInL2) {
  const AttackResult found = attack(GetParam(), target_, batch_, {.norm = Norm::l2, .eps = 0.8, .steps = 20});
  for (const double far : distances(Norm::l2, found.pixels, batch_.pixels)) EXPECT_LE(far, 0.8 * (1.0 + 1e-5));
  EXPECT_GT(fooled_count(found), 24);
}

INSTANTIATE_TEST_SUITE_P(Losses, AutoPgdTest, testing::Values("apgd_ce", "apgd_dlr"),
                         [](const auto& tested) { return tested.param; });

TEST(AutoPgd, FindsAWorseLossThanPgdWithTheSameSteps) {
  const ModelTarget target = test::tiny_vit().target();
  const AttackBatch batch = quarters(48, 1);
  const AttackOptions options{.eps = 0.04, .steps = 40, .random_start = false};
  const auto mean_loss = [&](const std::string& name) {
    const AttackResult found = attack(name, target, batch, options);
    return std::accumulate(found.losses.begin(), found.losses.end(), 0.0) / 48.0;
  };
  EXPECT_GT(mean_loss("apgd_ce"), 0.99 * mean_loss("pgd"));
}

}  // namespace
}  // namespace vit
