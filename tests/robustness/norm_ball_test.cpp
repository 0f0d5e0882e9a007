#include "vit/robustness/norm_ball.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "tests/support/errors.h"
#include "vit/core/rng.h"

namespace vit {
namespace {

using test::usage_error;
using testing::HasSubstr;

Tensor pictures(int64_t count, uint64_t seed) {
  Tensor values = Tensor::empty({count, 3, 4, 5});
  Rng rng(seed);
  fill_uniform(values, rng, 0.0f, 1.0f);
  return values;
}

std::vector<int64_t> numbered(int64_t count) {
  std::vector<int64_t> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), int64_t{0});
  return numbers;
}

void expect_in_picture(const Tensor& x) {
  for (const float value : x.span<float>()) ASSERT_TRUE(value >= 0.0f && value <= 1.0f) << value;
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.nbytes())) == 0;
}

class NormBallTest : public testing::TestWithParam<Norm> {
 protected:
  NormBall ball_{GetParam(), GetParam() == Norm::linf ? 0.1f : 0.5f};
};

TEST_P(NormBallTest, StepsStayInTheBallAndInThePicture) {
  const Tensor center = pictures(6, 1);
  Tensor gradient = pictures(6, 2);
  for (float& value : gradient.span<float>()) value -= 0.5f;
  Tensor x = center.clone();
  for (int step = 0; step < 10; ++step) ball_.ascend(x, center, gradient, 0.3f * ball_.eps);
  expect_in_picture(x);
  for (const double distance : distances(GetParam(), x, center)) {
    EXPECT_LE(distance, ball_.eps * (1.0 + 1e-5));
    EXPECT_GE(distance, 0.3 * ball_.eps);
  }
}

TEST_P(NormBallTest, RandomPointsLieInTheBallAndDependOnThePictureAlone) {
  const Tensor center = pictures(6, 1);
  const Tensor x = ball_.random_point(center, 7, numbered(6), 0);
  expect_in_picture(x);
  for (const double distance : distances(GetParam(), x, center)) EXPECT_LE(distance, ball_.eps * (1.0 + 1e-5));
  const Tensor part = ball_.random_point(center.slice(2, 5), 7, {2, 3, 4}, 0);
  EXPECT_TRUE(same_bytes(part, x.slice(2, 5)));
  EXPECT_FALSE(same_bytes(ball_.random_point(center, 7, numbered(6), 1), x));
  EXPECT_FALSE(same_bytes(ball_.random_point(center, 8, numbered(6), 0), x));
}

TEST_P(NormBallTest, NoGradientMovesNothing) {
  const Tensor center = pictures(2, 1);
  Tensor x = center.clone();
  ball_.ascend(x, center, Tensor::zeros(center.shape()), ball_.eps);
  EXPECT_TRUE(same_bytes(x, center));
}

TEST_P(NormBallTest, ValuesOutsideThePictureGoNoFurtherOut) {
  const Tensor center = Tensor::from<float>({-0.5f, 1.5f, 0.5f}, {1, 3, 1, 1});
  Tensor x = center.clone();
  ball_.ascend(x, center, Tensor::from<float>({-1.0f, 1.0f, 1.0f}, {1, 3, 1, 1}), ball_.eps);
  EXPECT_EQ(x.f32()[0], -0.5f);
  EXPECT_EQ(x.f32()[1], 1.5f);
  EXPECT_GT(x.f32()[2], 0.5f);
}

INSTANTIATE_TEST_SUITE_P(Norms, NormBallTest, testing::Values(Norm::linf, Norm::l2),
                         [](const auto& tested) { return tested.param == Norm::linf ? "linf" : "l2"; });

TEST(NormBall, ALinfStepFollowsTheSigns) {
  const Tensor center = Tensor::full({1, 3, 1, 1}, 0.5f);
  Tensor x = center.clone();
  NormBall{Norm::linf, 0.2f}.ascend(x, center, Tensor::from<float>({3.0f, -0.01f, 0.0f}, {1, 3, 1, 1}), 0.125f);
  EXPECT_FLOAT_EQ(x.f32()[0], 0.625f);
  EXPECT_FLOAT_EQ(x.f32()[1], 0.375f);
  EXPECT_FLOAT_EQ(x.f32()[2], 0.5f);
}

TEST(NormBall, AnL2StepFollowsTheDirectionAndIsCutToTheBall) {
  const Tensor center = Tensor::full({1, 3, 1, 1}, 0.5f);
  Tensor x = center.clone();
  const Tensor gradient = Tensor::from<float>({3.0f, -4.0f, 0.0f}, {1, 3, 1, 1});
  const NormBall ball{Norm::l2, 0.2f};
  ball.ascend(x, center, gradient, 0.1f);
  EXPECT_FLOAT_EQ(x.f32()[0], 0.56f);
  EXPECT_FLOAT_EQ(x.f32()[1], 0.42f);
  ball.ascend(x, center, gradient, 0.4f);
  EXPECT_NEAR(x.f32()[0], 0.62f, 1e-6);
  EXPECT_NEAR(x.f32()[1], 0.34f, 1e-6);
}

TEST(NormBall, EveryPictureHasItsOwnStep) {
  const Tensor center = Tensor::full({2, 3, 1, 1}, 0.5f);
  Tensor x = center.clone();
  NormBall{Norm::linf, 0.5f}.ascend(x, center, Tensor::full({2, 3, 1, 1}, 1.0f), {0.125f, 0.25f});
  EXPECT_FLOAT_EQ(x.f32()[0], 0.625f);
  EXPECT_FLOAT_EQ(x.f32()[3], 0.75f);
}

TEST(NormBall, RefusesAnEpsThatMeansNothing) {
  const auto validate = [](Norm norm, float eps) { return [=] { NormBall{norm, eps}.validate(48); }; };
  EXPECT_THAT(usage_error(validate(Norm::linf, 0.0f)), HasSubstr("above 0, got 0"));
  EXPECT_THAT(usage_error(validate(Norm::l2, -0.1f)), HasSubstr("above 0"));
  EXPECT_THAT(usage_error(validate(Norm::linf, 8.0f)), HasSubstr("at most 1, got 8"));
  EXPECT_THAT(usage_error(validate(Norm::l2, 7.0f)), HasSubstr("no two pictures of 48 values"));
  EXPECT_THAT(usage_error(validate(Norm::linf, std::nanf(""))), HasSubstr("above 0"));
  EXPECT_NO_THROW(validate(Norm::l2, 6.9f)());
}

}  // namespace
}  // namespace vit
