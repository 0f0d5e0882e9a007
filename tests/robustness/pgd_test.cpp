// FGSM and PGD: the analytic answer of a linear model, the ball, and what makes an attack stronger.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/robustness/tiny_target.h"
#include "tests/support/errors.h"
#include "vit/core/parallel.h"
#include "vit/robustness/attack.h"

namespace vit {
namespace {

using test::fooled_count;
using test::kTinyValues;
using test::LinearTarget;
using test::quarters;
using test::same_bits;
using test::tiny_vit;
using test::usage_error;
using testing::AllOf;
using testing::HasSubstr;

/// d cross-entropy / d x of a linear model: W^T (softmax - onehot).
std::vector<double> analytic_gradient(const LinearTarget& target, const Tensor& pixels, int64_t label) {
  std::vector<double> logits(test::kTinyClasses), gradient(kTinyValues, 0.0);
  double total = 0.0;
  for (int64_t k = 0; k < test::kTinyClasses; ++k) {
    double sum = 0.0;
    for (int64_t i = 0; i < kTinyValues; ++i)
      sum += static_cast<double>(target.weight.f32()[k * kTinyValues + i]) * pixels.f32()[i];
    total += logits[static_cast<size_t>(k)] = std::exp(sum);
  }
  for (int64_t k = 0; k < test::kTinyClasses; ++k)
    for (int64_t i = 0; i < kTinyValues; ++i)
      gradient[static_cast<size_t>(i)] += (logits[static_cast<size_t>(k)] / total - static_cast<double>(k == label)) *
                                          target.weight.f32()[k * kTinyValues + i];
  return gradient;
}

TEST(TargetProbe, GradientOfALinearModelIsTheAnalyticOne) {
  const LinearTarget target;
  const AttackBatch batch = quarters(3, 1);
  TargetProbe probe(target);
  const TargetAnswer answer = probe.gradient(batch.pixels, batch.goals, AttackLoss::cross_entropy);
  EXPECT_EQ(probe.backwards(), 3);
  for (int64_t b = 0; b < 3; ++b) {
    const auto expected =
        analytic_gradient(target, batch.pixels.slice(b, b + 1), batch.goals[static_cast<size_t>(b)].label);
    for (int64_t i = 0; i < kTinyValues; ++i)
      ASSERT_NEAR(answer.gradient.f32()[b * kTinyValues + i], expected[static_cast<size_t>(i)], 1e-5) << b << ", " << i;
  }
}

TEST(TargetProbe, GradientOfAVisionTransformerIsItsSlopeByEveryKindOfPixel) {
  const ModelTarget target = tiny_vit().target();
  const AttackBatch batch = quarters(2, 1);
  TargetProbe probe(target);
  const Tensor gradient = probe.gradient(batch.pixels, batch.goals, AttackLoss::cross_entropy).gradient;
  // Along random directions: every pixel counts.
  for (uint64_t stream = 0; stream < 5; ++stream) {
    const Tensor direction = test::random_tensor(batch.pixels.shape(), stream);
    double expected = 0.0;
    for (int64_t i = 0; i < gradient.numel(); ++i)
      expected += static_cast<double>(gradient.f32()[i]) * direction.f32()[i];
    const auto total = [&](float step) {
      Tensor moved = batch.pixels.clone();
      for (int64_t i = 0; i < moved.numel(); ++i) moved.f32()[i] += step * direction.f32()[i];
      const auto losses = probe.answer(moved, batch.goals, AttackLoss::cross_entropy).losses;
      return losses[0] + losses[1];
    };
    EXPECT_NEAR((total(2e-3f) - total(-2e-3f)) / 4e-3, expected, 0.01 * (1.0 + std::abs(expected)));
  }
}

TEST(Fgsm, MovesEveryPixelByEpsAlongTheSign) {
  const LinearTarget target;
  const AttackBatch batch = quarters(4, 1);
  const AttackResult result = attack("fgsm", target, batch, {.eps = 0.05});
  EXPECT_EQ(result.backwards, 4);
  EXPECT_EQ(result.forwards, 8);
  for (int64_t b = 0; b < 4; ++b) {
    const auto gradient =
        analytic_gradient(target, batch.pixels.slice(b, b + 1), batch.goals[static_cast<size_t>(b)].label);
    for (int64_t i = 0; i < kTinyValues; ++i) {
      const float before = batch.pixels.f32()[b * kTinyValues + i];
      const float expected = std::clamp(before + (gradient[static_cast<size_t>(i)] > 0.0 ? 0.05f : -0.05f), 0.0f, 1.0f);
      ASSERT_NEAR(result.pixels.f32()[b * kTinyValues + i], expected, 1e-6f);
    }
  }
}

TEST(Attacks, StayInTheBallAndInThePicture) {
  const ModelTarget target = tiny_vit().target();
  const AttackBatch batch = quarters(8, 1);
  for (const std::string name : {"fgsm", "pgd", "pgd_l2", "apgd_ce", "apgd_dlr"})
    for (const double eps : {0.02, 0.3, 1.0}) {
      const AttackResult result = attack(name, target, batch, {.eps = eps, .steps = 5, .restarts = 2});
      const Norm norm = name == "pgd_l2" ? Norm::l2 : Norm::linf;
      for (const double far : distances(norm, result.pixels, batch.pixels)) EXPECT_LE(far, eps * (1.0 + 1e-5)) << name;
      for (const float value : result.pixels.span<float>()) ASSERT_TRUE(value >= 0.0f && value <= 1.0f) << name;
    }
}

TEST(Attacks, ReportWhatTheModelSaysOfThePicturesTheyReturn) {
  const ModelTarget target = tiny_vit().target();
  const AttackBatch batch = quarters(8, 1);
  const AttackResult result = attack("pgd", target, batch, {.eps = 0.05, .steps = 4});
  TargetProbe probe(target);
  const TargetAnswer answer = probe.answer(result.pixels, batch.goals, AttackLoss::cross_entropy);
  EXPECT_TRUE(same_bits(answer.logits, result.logits));
  EXPECT_EQ(answer.losses, result.losses);
  EXPECT_EQ(answer.fooled, result.fooled);
}

TEST(Pgd, FoolsATrainedModelMoreThanFgsmOfTheSameBudget) {
  const ModelTarget target = tiny_vit().target();
  const AttackBatch batch = quarters(64, 1);
  TargetProbe probe(target);
  const TargetAnswer clean = probe.answer(batch.pixels, batch.goals, AttackLoss::cross_entropy);
  const auto wrong = std::count(clean.fooled.begin(), clean.fooled.end(), static_cast<char>(1));
  ASSERT_LT(wrong, 16) << "the model has learnt its pictures";
  int64_t before = wrong;
  for (const double eps : {0.01, 0.03, 0.06, 0.1}) {
    const int64_t fgsm = fooled_count(attack("fgsm", target, batch, {.eps = eps}));
    const int64_t pgd = fooled_count(attack("pgd", target, batch, {.eps = eps, .steps = 10, .random_start = false}));
    EXPECT_GE(pgd, fgsm) << eps;
    EXPECT_GE(pgd, before) << "a larger ball holds the smaller one's pictures: " << eps;
    before = pgd;
  }
  EXPECT_GT(before, 48) << "a third of what makes a class suffices";
}

TEST(Pgd, RestartsAreForPicturesThatHeldAndOnlyHelp) {
  const ModelTarget target = tiny_vit().target();
  const AttackBatch batch = quarters(32, 1);
  const AttackOptions once{.eps = 0.04, .steps = 3};
  AttackOptions often = once;
  often.restarts = 6;
  const AttackResult one = attack("pgd", target, batch, once), six = attack("pgd", target, batch, often);
  ASSERT_GT(fooled_count(one), 0);
  ASSERT_LT(fooled_count(one), 32);
  EXPECT_GE(fooled_count(six), fooled_count(one));
  EXPECT_EQ(one.backwards, 32 * 3);
  EXPECT_LE(six.backwards, 32 * 3 + 5 * 3 * (32 - fooled_count(one)));
  EXPECT_GT(six.backwards, one.backwards);
  for (int64_t b = 0; b < 32; ++b)
    if (one.fooled[static_cast<size_t>(b)] != 0) {
      EXPECT_TRUE(same_bits(one.pixels.slice(b, b + 1), six.pixels.slice(b, b + 1))) << b;
    }
}

TEST(Pgd, TargetedReachesTheTarget) {
  const ModelTarget target = tiny_vit().target();
  AttackBatch batch = quarters(16, 1);
  for (AttackGoal& goal : batch.goals) goal.target = (goal.label + 1) % test::kTinyClasses;
  const AttackResult result = attack("pgd", target, batch, {.eps = 0.2, .steps = 20});
  EXPECT_EQ(fooled_count(result), 16);
  for (size_t b = 0; b < 16; ++b)
    EXPECT_EQ(predicted_class(result.logits.f32() + static_cast<int64_t>(b) * 4, 4), batch.goals[b].target);
}

TEST(Pgd, NeverLeavesLessWrongThanThePicturesThemselves) {
  // Pictures that are wrong as they are and right at the random point where the search begins; it goes nowhere from
  // there.
  const ModelTarget target = tiny_vit().target();
  const AttackOptions options{.eps = 1.0, .steps = 1, .alpha = 1e-6};
  AttackBatch all = quarters(64, 1);
  const Tensor start = options.ball().random_point(all.pixels, options.seed, all.numbers, 0);
  TargetProbe probe(target);
  const Tensor here = probe.answer(all.pixels, all.goals, options.loss).logits;
  const Tensor there = probe.answer(start, all.goals, options.loss).logits;
  std::vector<int64_t> places;
  for (int64_t b = 0; b < 64; ++b) {
    const int64_t label = predicted_class(there.f32() + b * test::kTinyClasses, test::kTinyClasses);
    all.goals[static_cast<size_t>(b)].label = label;
    if (label != predicted_class(here.f32() + b * test::kTinyClasses, test::kTinyClasses)) places.push_back(b);
  }
  ASSERT_GT(places.size(), 5u);
  const AttackBatch batch = all.at(places);
  for (const std::string name : {"pgd", "apgd_ce", "apgd_dlr"}) {
    const AttackResult result = attack(name, target, batch, options);
    EXPECT_EQ(fooled_count(result), batch.size()) << name;
  }
}

TEST(Attacks, GiveTheSameBytesInAnyBatchOnAnyThreads) {
  const ModelTarget target = tiny_vit().target();
  const AttackBatch batch = quarters(6, 1);
  for (const std::string name : {"fgsm", "pgd", "pgd_l2", "apgd_ce", "apgd_dlr"}) {
    const AttackOptions options{.eps = 0.05, .steps = 3, .restarts = 2, .seed = 9};
    const AttackResult whole = attack(name, target, batch, options);
    const AttackResult part = attack(name, target, batch.at({4, 5}), options);
    EXPECT_TRUE(same_bits(part.pixels, whole.pixels.slice(4, 6))) << name;
    EXPECT_TRUE(same_bits(part.logits, whole.logits.slice(4, 6))) << name;
    const int threads = num_threads();
    set_num_threads(1);
    const AttackResult alone = attack(name, target, batch, options);
    set_num_threads(threads);
    EXPECT_TRUE(same_bits(alone.pixels, whole.pixels)) << name;
    AttackOptions other = options;
    other.seed = 10;
    const bool moved = !same_bits(attack(name, target, batch, other).pixels, whole.pixels);
    EXPECT_EQ(moved, name != "fgsm") << name;
  }
}

TEST(Attacks, RefuseWhatMeansNothing) {
  const LinearTarget target;
  const AttackBatch batch = quarters(2, 1);
  const auto refused = [&](const std::string& name, const AttackOptions& options) {
    return usage_error([&] { attack(name, target, batch, options); });
  };
  EXPECT_THAT(refused("pdg", {}), AllOf(HasSubstr("unknown attack 'pdg'"), HasSubstr("did you mean 'pgd'"),
                                        HasSubstr("known: apgd_ce, apgd_dlr, fgsm")));
  EXPECT_THAT(refused("pgd", {.eps = 0.0}), HasSubstr("above 0"));
  EXPECT_THAT(refused("pgd", {.eps = 1.5}), HasSubstr("at most 1"));
  EXPECT_THAT(refused("pgd", {.steps = 0}), HasSubstr("steps"));
  EXPECT_THAT(refused("pgd", {.restarts = 0}), HasSubstr("restarts"));
  EXPECT_THAT(refused("pgd", {.alpha = -1.0}), HasSubstr("alpha"));
}

TEST(Attacks, TellOfTheirOptionsBeforeTheyRun) {
  const Tensor pixels = quarters(1, 1).pixels;
  const auto refused = [&](const std::string& name, const AttackOptions& options, int64_t classes, bool targeted) {
    return usage_error([&] { require_options(name, options, pixels, classes, targeted); });
  };
  EXPECT_THAT(refused("pgd_l2", {.eps = 1000.0}, 4, false), HasSubstr("at most 13.8"));
  EXPECT_THAT(refused("pgd", {.eps = 2.0}, 4, false), HasSubstr("at most 1"));
  EXPECT_THAT(refused("apgd_dlr", {}, 2, false), HasSubstr("3 classes or more"));
  EXPECT_THAT(refused("apgd_dlr", {}, 3, true), HasSubstr("4 classes or more for a targeted"));
  require_options("apgd_dlr", {}, pixels, 4, true);
  require_options("apgd_ce", {}, pixels, 2, true);
  require_options("pgd_l2", {.eps = 2.0}, pixels, 2, false);
}

TEST(Attacks, RefuseToAimAtThePicturesOwnClass) {
  const LinearTarget target;
  AttackBatch batch = quarters(2, 1);
  for (AttackGoal& goal : batch.goals) goal.target = 1;
  EXPECT_THAT(test::failure([&] { attack("pgd", target, batch, {}); }), HasSubstr("its own class; leave it out"));
}

TEST(Attacks, PicturesMustBePixels) {
  const LinearTarget target;
  AttackBatch batch = quarters(2, 1);
  batch.pixels.f32()[0] = 1.5f;
  EXPECT_THAT(test::failure([&] { attack("pgd", target, batch, {}); }), HasSubstr("between 0 and 1, got 1.5"));
  batch.pixels.f32()[0] = 0.5f;
  batch.goals.pop_back();
  EXPECT_THAT(test::failure([&] { attack("pgd", target, batch, {}); }), HasSubstr("1 goals and 2 numbers"));
}

}  // namespace
}  // namespace vit
