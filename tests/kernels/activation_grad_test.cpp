// Derivatives of activations over the whole range of floats, against double precision.
#include <limits>

#include "tests/kernels/guarded.h"

namespace vit::kernels::test {
namespace {

const Activation kKinds[] = {Activation::none,      Activation::relu,       Activation::gelu,
                             Activation::gelu_tanh, Activation::quick_gelu, Activation::silu,
                             Activation::sigmoid,   Activation::tanh,       Activation::hard_sigmoid};

class ActivationGradTest : public KernelTest {};
VITKIT_TEST_EVERY_ISA(ActivationGradTest);

/// Dense around zero, all magnitudes up to the largest floats, both signs.
std::vector<float> sweep() {
  std::vector<float> x = {0.0f, -0.0f, 1e-38f, -1e-38f, 88.0f, -88.0f, 104.0f, -104.0f, 1e4f, -1e4f};
  for (int i = -100000; i <= 100000; ++i) x.push_back(static_cast<float>(i) * 1.5e-4f);
  for (float magnitude = 1e-30f; magnitude < 1e38f; magnitude *= 1.1f) {
    x.push_back(magnitude);
    x.push_back(-magnitude);
  }
  return x;
}

TEST_P(ActivationGradTest, WithinThreeTenMillionths) {
  const std::vector<float> x = sweep();
  const int64_t count = static_cast<int64_t>(x.size());
  const std::vector<float> ones(x.size(), 1.0f);
  Guarded got(count), expected(count);
  for (Activation kind : kKinds) {
    SCOPED_TRACE(static_cast<int>(kind));
    table().activation_grad(got.data(), ones.data(), x.data(), count, kind);
    oracle().activation_grad(expected.data(), ones.data(), x.data(), count, kind);
    EXPECT_TRUE(got.untouched_outside());
    for (int64_t i = 0; i < count; ++i) ASSERT_NEAR(got.at(0, i), expected.at(0, i), 3e-7) << x[i];
  }
}

TEST_P(ActivationGradTest, SpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float x[] = {NAN, infinity, -infinity}, ones[] = {1.0f, 1.0f, 1.0f};
  for (Activation kind : kKinds) {
    SCOPED_TRACE(static_cast<int>(kind));
    float d_x[3];
    table().activation_grad(d_x, ones, x, 3, kind);
    const bool flat = kind == Activation::sigmoid || kind == Activation::tanh || kind == Activation::hard_sigmoid;
    EXPECT_TRUE(std::isnan(d_x[0]) || kind == Activation::none);
    EXPECT_EQ(d_x[1], flat ? 0.0f : 1.0f);
    EXPECT_NEAR(d_x[2], kind == Activation::none ? 1.0f : 0.0f, 1e-20);  // gelu stops at -10
  }
  const float zero = 0.0f;
  float d_x = 9.0f;
  table().activation_grad(&d_x, ones, &zero, 1, Activation::relu);
  EXPECT_EQ(d_x, 0.0f);
}

TEST_P(ActivationGradTest, RaggedSpansInPlace) {
  for (int64_t count = 0; count < 70; ++count)
    for (Activation kind : kKinds) {
      Guarded x(count), d_y(count), got(count), expected(count);
      x.randomize(static_cast<uint32_t>(count), 3.0f);
      d_y.randomize(static_cast<uint32_t>(count) + 100);
      table().activation_grad(got.data(), d_y.data(), x.data(), count, kind);
      oracle().activation_grad(expected.data(), d_y.data(), x.data(), count, kind);
      expect_near(got, expected, [](int64_t, int64_t) { return 3e-6; });
      table().activation_grad(d_y.data(), d_y.data(), x.data(), count, kind);
      expect_near(d_y, got, [](int64_t, int64_t) { return 0.0; });
    }
}

TEST_P(ActivationGradTest, GatedHalvesOfAPackedRow) {
  for (int64_t cols : {1, 5, 16, 37, 100})
    for (Activation kind : kKinds) {
      SCOPED_TRACE(testing::Message() << cols << " kind " << static_cast<int>(kind));
      Guarded x(4, 2 * cols, 3), d_y(4, cols, 2), got(4, 2 * cols, 1), expected(4, 2 * cols, 1);
      x.randomize(1);
      d_y.randomize(2);
      const auto run = [&](const KernelTable& t, Guarded& d_x) {
        t.gated_activation_grad(d_x.data(), d_x.data() + cols, d_x.stride(), d_y.data(), d_y.stride(), x.data(),
                                x.data() + cols, x.stride(), 4, cols, kind);
      };
      run(table(), got);
      run(oracle(), expected);
      expect_near(got, expected, [](int64_t, int64_t) { return 1e-5; });
      run(table(), x);
      expect_near(x, got, [](int64_t, int64_t) { return 0.0; });
    }
}

}  // namespace
}  // namespace vit::kernels::test
