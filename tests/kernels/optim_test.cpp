// AdamW and the gradient's norm: against the oracle, over several steps, ragged.
#include "tests/kernels/guarded.h"

namespace vit::kernels::test {
namespace {

class OptimTest : public KernelTest {};
VITKIT_TEST_EVERY_ISA(OptimTest);

/// The numbers of step t with lr 1e-3 and weight decay 0.05.
AdamWStep step_at(int t) {
  AdamWStep step;
  step.lr_times_decay = 5e-5f;
  step.step_size = static_cast<float>(1e-3 / (1.0 - std::pow(step.beta1, t)));
  step.inv_sqrt_correction2 = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(step.beta2, t)));
  step.grad_scale = 0.5f;
  return step;
}

TEST_P(OptimTest, AdamWFollowsTheOracleForSteps) {
  for (int64_t count : {0, 1, 3, 15, 16, 17, 100, 1000}) {
    SCOPED_TRACE(count);
    Guarded p(count), m(count), v(count), g(count), p2(count), m2(count), v2(count);
    p.randomize(1);
    p2.copy_from(p);
    for (int t = 1; t <= 5; ++t) {
      g.randomize(static_cast<uint32_t>(10 + t), 0.1f);
      if (count > 0) g.at(0, 0) = 0.0f;  // 0 / (0 + eps)
      table().adamw(p.data(), m.data(), v.data(), g.data(), count, step_at(t));
      oracle().adamw(p2.data(), m2.data(), v2.data(), g.data(), count, step_at(t));
    }
    // A step moves a parameter by some 1e-3 * a few roundings; the parameter itself is rounded each time.
    expect_near(p, p2, [&](int64_t, int64_t j) {
      return rounding_tolerance(10, std::abs(static_cast<double>(p2.at(0, j))) + 0.01) + 5.0 * 1e-3 * 1e-5;
    });
    expect_near(m, m2, [](int64_t, int64_t) { return rounding_tolerance(10, 0.3); });
    expect_near(v, v2, [](int64_t, int64_t) { return rounding_tolerance(10, 1e-3); });
  }
}

TEST_P(OptimTest, AdamWIsTorchsFormula) {
  // torch.optim.AdamW(lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01) on p = 1, g = 0.5, first step: the
  // corrected moments are g and g^2, so p = 1 * (1 - 0.001) - 0.1 * 0.5 / (0.5 + 1e-8).
  AdamWStep step;
  step.lr_times_decay = 0.001f;
  step.step_size = 0.1f / (1.0f - 0.9f);
  step.inv_sqrt_correction2 = static_cast<float>(1.0 / std::sqrt(1.0 - 0.999));
  float p = 1.0f, m = 0.0f, v = 0.0f, g = 0.5f;
  table().adamw(&p, &m, &v, &g, 1, step);
  EXPECT_NEAR(p, 0.899, 1e-6);
  EXPECT_NEAR(m, 0.05, 1e-8);
  EXPECT_NEAR(v, 0.00025, 1e-10);
}

TEST_P(OptimTest, SumOfSquaresIsDouble) {
  for (int64_t count : {0, 1, 15, 16, 17, 1000, 100003}) {
    Guarded x(count);
    x.randomize(1);
    const double expected = oracle().sum_of_squares(x.data(), count);
    EXPECT_NEAR(table().sum_of_squares(x.data(), count), expected, 1e-13 * expected) << count;
  }
  const float large[] = {1e30f, -1e30f};  // squares beyond f32
  EXPECT_NEAR(table().sum_of_squares(large, 2) / 2e60, 1.0, 1e-6);
  const float bad[] = {1.0f, NAN};
  EXPECT_TRUE(std::isnan(table().sum_of_squares(bad, 2)));
}

}  // namespace
}  // namespace vit::kernels::test
