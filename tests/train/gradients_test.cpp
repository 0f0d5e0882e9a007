#include "vit/train/gradients.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/tolerance.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"

namespace vit {
namespace {

std::vector<NamedParameter> make_parameters() {
  std::vector<NamedParameter> all = {{"w", Tensor::empty({400, 101}), Tensor::empty({400, 101})},
                                     {"bias", Tensor::empty({7}), Tensor::empty({7})},
                                     {"none", Tensor::full({3}, 1.0f), {}},
                                     {"head.weight", Tensor::empty({2, 3}), Tensor::empty({2, 3})}};
  for (NamedParameter& parameter : all) {
    if (!parameter.grad.defined()) continue;
    Rng rng(3, Rng::stream_of(parameter.name));
    fill_normal(parameter.value, rng, 0.1f);
    fill_normal(parameter.grad, rng, 2.0f);
  }
  return all;
}

double plain_norm(const std::vector<NamedParameter>& parameters) {
  double sum = 0.0;
  for (const NamedParameter& parameter : parameters)
    if (parameter.grad.defined())
      for (const float g : parameter.grad.span<float>()) sum += static_cast<double>(g) * g;
  return std::sqrt(sum);
}

OptimizerConfig clip(ClipMode mode, double bound, int64_t accumulated = 1) {
  OptimizerConfig config;
  config.clip_grad = bound;
  config.clip_mode = mode;
  config.grad_accum_steps = accumulated;
  return config;
}

TEST(Gradients, NormIsThatOfAllTogether) {
  const auto parameters = make_parameters();
  EXPECT_NEAR(gradient_norm(parameters), plain_norm(parameters), 1e-9);
  EXPECT_NEAR(gradient_norm(parameters, 0.25), 0.25 * plain_norm(parameters), 1e-9);
  set_num_threads(1);
  const double one = gradient_norm(parameters);
  set_num_threads(8);
  EXPECT_EQ(one, gradient_norm(parameters));
  set_num_threads(0);
}

TEST(Gradients, ClippingByNormIsAFactor) {
  const auto parameters = make_parameters();
  const double norm = plain_norm(parameters);
  GradientReport report = prepare_gradients(parameters, clip(ClipMode::norm, 0.5, 4));
  EXPECT_NEAR(report.norm, norm / 4, 1e-9) << "of the mean of four batches";
  EXPECT_NEAR(report.grad_scale, 0.25 * 0.5 / (norm / 4 + 1e-6), 1e-12);
  EXPECT_EQ(plain_norm(parameters), norm) << "the gradients are as they were";
  report = prepare_gradients(parameters, clip(ClipMode::norm, 0.5, 4), 2);
  EXPECT_NEAR(report.norm, norm / 2, 1e-9) << "only two batches were left";
  report = prepare_gradients(parameters, clip(ClipMode::norm, 1e6));
  EXPECT_EQ(report.grad_scale, 1.0) << "small enough";
  report = prepare_gradients(parameters, OptimizerConfig{});
  EXPECT_EQ(report.grad_scale, 1.0);
}

TEST(Gradients, ClippingByValueBoundsEveryElement) {
  const auto parameters = make_parameters();
  const auto before = make_parameters();
  const GradientReport report = prepare_gradients(parameters, clip(ClipMode::value, 0.7, 2));
  EXPECT_EQ(report.grad_scale, 1.0);
  for (int64_t i = 0; i < parameters[0].grad.numel(); ++i) {
    const float mean = 0.5f * before[0].grad.f32()[i];
    EXPECT_EQ(parameters[0].grad.f32()[i], std::min(std::max(mean, -0.7f), 0.7f));
  }
}

TEST(Gradients, AdaptiveClippingIsPerUnit) {
  const auto parameters = make_parameters();
  const auto before = make_parameters();
  // Unit 0 of `w` is small already.
  for (int64_t i = 0; i < 101; ++i) parameters[0].grad.f32()[i] = before[0].grad.f32()[i] = 1e-5f;
  const GradientReport report = prepare_gradients(parameters, clip(ClipMode::agc, 0.02, 2));
  EXPECT_EQ(report.grad_scale, 1.0);
  EXPECT_EQ(parameters[0].grad.f32()[0], 0.5e-5f);
  for (int64_t unit = 1; unit < 400; ++unit) {
    double weight = 0.0, grad = 0.0;
    for (int64_t i = unit * 101; i < (unit + 1) * 101; ++i) {
      weight += std::pow(before[0].value.f32()[i], 2);
      grad += std::pow(0.5 * before[0].grad.f32()[i], 2);
    }
    const double factor = 0.5 * std::min(1.0, 0.02 * std::sqrt(weight) / std::sqrt(grad));
    const int64_t i = unit * 101 + 5;
    EXPECT_NEAR(parameters[0].grad.f32()[i], factor * before[0].grad.f32()[i], 1e-7);
  }
  // Vectors are one unit; the head is left alone.
  EXPECT_NEAR(parameters[1].grad.f32()[0] / before[1].grad.f32()[0],
              parameters[1].grad.f32()[6] / before[1].grad.f32()[6], 1e-6);
  EXPECT_EQ(parameters[3].grad.f32()[1], 0.5f * before[3].grad.f32()[1]);
}

TEST(Gradients, NonFiniteIsNoticedAndNamed) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto parameters = make_parameters();
    EXPECT_EQ(describe_non_finite(parameters), "");
    parameters[1].grad.f32()[3] = bad;
    const float other = parameters[0].grad.f32()[0];
    const GradientReport report = prepare_gradients(parameters, clip(ClipMode::value, 0.1));
    EXPECT_FALSE(report.finite);
    EXPECT_EQ(parameters[0].grad.f32()[0], other) << "untouched";
    EXPECT_EQ(describe_non_finite(parameters), std::isnan(bad) ? "bias (NaN)" : "bias (infinite)");
  }
  const auto parameters = make_parameters();
  parameters[0].grad.f32()[0] = std::numeric_limits<float>::max();
  EXPECT_TRUE(prepare_gradients(parameters, {}).finite) << "large is not infinite";
}

}  // namespace
}  // namespace vit
