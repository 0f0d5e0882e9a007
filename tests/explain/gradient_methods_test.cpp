#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/explain/tiny_models.h"
#include "tests/support/errors.h"
#include "vit/explain/method.h"
#include "vit/explain/quadrature.h"
#include "vit/explain/roles.h"

namespace vit {
namespace {

double sum_of(const Tensor& map) { return std::accumulate(map.f32(), map.f32() + map.numel(), 0.0); }

double objective_of(const Subject& subject, const Tensor& pixels) {
  Context ctx;
  return subject.objective(ctx, pixels).value().f32()[0];
}

TEST(IntegratedGradients, AddUpToTheAnswersChange) {
  for (const char* config : {test::kTinyVit, test::kTinyGapVit, test::kTinySwin}) {
    const ClassifierSubject subject = test::tiny_subject(config);
    const Tensor pixels = test::random_pixels();
    const Explanation result = explain("integrated_gradients", subject, pixels, {.steps = 64, .batch_size = 5});
    const double change = objective_of(subject, pixels) - objective_of(subject, Tensor::zeros(pixels.shape()));
    EXPECT_NEAR(sum_of(result.map), change, 0.01 * std::abs(change) + 1e-4) << config;
    EXPECT_TRUE(result.is_signed);
    ASSERT_EQ(result.notes.size(), 1u);
    EXPECT_THAT(result.notes[0], testing::StartsWith("complete: "));
  }
}

TEST(IntegratedGradients, DoNotDependOnTheBatch) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyVit);
  const Tensor pixels = test::random_pixels();
  const Tensor one = explain("integrated_gradients", subject, pixels, {.steps = 7, .batch_size = 1}).map;
  const Tensor all = explain("integrated_gradients", subject, pixels, {.steps = 7, .batch_size = 8}).map;
  for (int64_t i = 0; i < one.numel(); ++i) EXPECT_NEAR(one.f32()[i], all.f32()[i], 1e-4);
}

TEST(IntegratedGradients, NeedAStep) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyVit);
  EXPECT_THAT(test::usage_error([&] { explain("integrated_gradients", subject, test::random_pixels(), {.steps = 0}); }),
              testing::HasSubstr("at least one step"));
}

TEST(InputGradient, IsTheSlope) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyVit);
  const Tensor pixels = test::random_pixels();
  const Tensor gradient = input_gradient(subject, pixels);
  constexpr double kStep = 1e-2;
  for (const int64_t at : {0, 517, 2048, 3071}) {
    Tensor up = pixels.clone(), down = pixels.clone();
    up.f32()[at] += static_cast<float>(kStep);
    down.f32()[at] -= static_cast<float>(kStep);
    const double slope = (objective_of(subject, up) - objective_of(subject, down)) / (2.0 * kStep);
    EXPECT_NEAR(gradient.f32()[at], slope, 2e-2 * std::abs(slope) + 2e-3) << at;
  }
}

TEST(InputXGradient, IsTheirProductOverChannels) {
  const ClassifierSubject subject = test::tiny_subject(test::kTinyVit);
  const Tensor pixels = test::random_pixels(), gradient = input_gradient(subject, pixels);
  const Tensor map = explain("input_x_gradient", subject, pixels).map;
  constexpr int64_t kPlane = 32 * 32;
  for (int64_t i = 0; i < kPlane; ++i) {
    double expected = 0.0;
    for (int64_t c = 0; c < 3; ++c)
      expected += static_cast<double>(pixels.f32()[c * kPlane + i]) * gradient.f32()[c * kPlane + i];
    EXPECT_NEAR(map.f32()[i], expected, 1e-5);
  }
}

TEST(GaussLegendre, IntegratesPolynomialsExactly) {
  for (const int64_t n : {1, 2, 5, 20}) {
    const Quadrature rule = gauss_legendre(n);
    ASSERT_EQ(static_cast<int64_t>(rule.nodes.size()), n);
    EXPECT_TRUE(std::is_sorted(rule.nodes.begin(), rule.nodes.end()));
    for (int64_t degree = 0; degree < 2 * n; ++degree) {
      double integral = 0.0;
      for (size_t i = 0; i < rule.nodes.size(); ++i)
        integral += rule.weights[i] * std::pow(rule.nodes[i], static_cast<double>(degree));
      EXPECT_NEAR(integral, 1.0 / static_cast<double>(degree + 1), 1e-12) << n << " nodes, degree " << degree;
    }
  }
  EXPECT_THAT(test::failure([] { gauss_legendre(0); }), testing::HasSubstr("at least one node"));
}

}  // namespace
}  // namespace vit
