// Activations over the whole range of floats, against double precision.
#include <limits>

#include "tests/kernels/guarded.h"

namespace vit::kernels::test {
namespace {

const Activation kKinds[] = {Activation::none,      Activation::relu,       Activation::gelu,
                             Activation::gelu_tanh, Activation::quick_gelu, Activation::silu,
                             Activation::sigmoid,   Activation::tanh,       Activation::hard_sigmoid};

class ActivationTest : public KernelTest {};
VITKIT_TEST_EVERY_ISA(ActivationTest);

/// Dense around zero, all magnitudes to 1e4, both signs.
std::vector<float> sweep() {
  std::vector<float> x = {0.0f, -0.0f, 1e-38f, -1e-38f, 88.0f, -88.0f, 104.0f, -104.0f, 1e4f, -1e4f};
  for (int i = -100000; i <= 100000; ++i) x.push_back(static_cast<float>(i) * 1.5e-4f);
  for (float magnitude = 1e-30f; magnitude < 1e4f; magnitude *= 1.1f) {
    x.push_back(magnitude);
    x.push_back(-magnitude);
  }
  return x;
}

TEST_P(ActivationTest, WithinThreeTenMillionths) {
  const std::vector<float> x = sweep();
  const int64_t count = static_cast<int64_t>(x.size());
  Guarded got(count), expected(count);
  for (Activation kind : kKinds) {
    SCOPED_TRACE(static_cast<int>(kind));
    table().activation(got.data(), x.data(), count, kind);
    oracle().activation(expected.data(), x.data(), count, kind);
    EXPECT_TRUE(got.untouched_outside());
    for (int64_t i = 0; i < count; ++i)
      ASSERT_NEAR(got.at(0, i), expected.at(0, i), 3e-7 * std::max(1.0, std::abs(static_cast<double>(x[i])))) << x[i];
  }
}

TEST_P(ActivationTest, SmallArgumentsKeepTheirDigits) {
  for (Activation kind :
       {Activation::gelu, Activation::gelu_tanh, Activation::quick_gelu, Activation::silu, Activation::tanh})
    for (float x = 1e-30f; x < 0.3f; x *= 1.7f)
      for (float value : {x, -x}) {
        float got = 0.0f, expected = 0.0f;
        table().activation(&got, &value, 1, kind);
        oracle().activation(&expected, &value, 1, kind);
        ASSERT_NEAR(got, expected, 5e-7 * std::abs(expected)) << "kind " << static_cast<int>(kind) << " at " << value;
      }
}

TEST_P(ActivationTest, SpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float x[] = {NAN, infinity, -infinity};
  for (Activation kind : kKinds) {
    float y[3];
    table().activation(y, x, 3, kind);
    EXPECT_TRUE(std::isnan(y[0])) << static_cast<int>(kind);
    const bool bounded = kind == Activation::sigmoid || kind == Activation::tanh || kind == Activation::hard_sigmoid;
    EXPECT_EQ(y[1], bounded ? 1.0f : infinity) << static_cast<int>(kind);
  }
  float y = 0.0f;
  table().activation(&y, x + 2, 1, Activation::sigmoid);
  EXPECT_EQ(y, 0.0f);
  table().activation(&y, x + 2, 1, Activation::tanh);
  EXPECT_EQ(y, -1.0f);
  table().activation(&y, x + 2, 1, Activation::hard_sigmoid);
  EXPECT_EQ(y, 0.0f);
}

TEST_P(ActivationTest, RaggedSpansInPlace) {
  for (int64_t count = 0; count < 70; ++count) {
    Guarded x(count), got(count), expected(count);
    x.randomize(static_cast<uint32_t>(count), 3.0f);
    table().activation(got.data(), x.data(), count, Activation::gelu);
    oracle().activation(expected.data(), x.data(), count, Activation::gelu);
    expect_near(got, expected, [](int64_t, int64_t) { return 3e-6; });
    table().activation(x.data(), x.data(), count, Activation::gelu);
    expect_near(x, got, [](int64_t, int64_t) { return 0.0; });
  }
}

TEST_P(ActivationTest, GatedHalvesOfAPackedRow) {
  for (int64_t cols : {1, 5, 16, 37, 100})
    for (Activation kind : {Activation::silu, Activation::gelu, Activation::sigmoid}) {
      Guarded x(4, 2 * cols, 3), got(4, cols, 1), expected(4, cols, 1);
      x.randomize(1);
      table().gated_activation(got.data(), got.stride(), x.data(), x.data() + cols, x.stride(), 4, cols, kind);
      oracle().gated_activation(expected.data(), expected.stride(), x.data(), x.data() + cols, x.stride(), 4, cols,
                                kind);
      expect_near(got, expected, [](int64_t, int64_t) { return 3e-6; });
    }
}

}  // namespace
}  // namespace vit::kernels::test
