// Mechanisms whose time grows like N (linear, ReLU-linear, Nystrom, agent) against their plain definitions.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/mechanism_check.h"
#include "vit/autograd/plain_maps.h"
#include "vit/autograd/plain_tokens.h"

namespace vit {
namespace {

using test::MechanismCheck;
using test::Plain;

constexpr size_t kHeads = 2, kHeadDim = 5, kDim = kHeads * kHeadDim;
const double kScale = 1.0 / std::sqrt(static_cast<double>(kHeadDim));
const AttentionShape kShape{.dim = kDim, .num_heads = kHeads, .grid = {3, 4}, .prefix_tokens = 2};

/// Columns of one head of part `part` (q, k, v) of sample b: [N, D].
Plain head_of(const Plain& qkv, size_t b, size_t part, size_t h) {
  const size_t first = part * kDim + h * kHeadDim;
  return xt::view(qkv, b, xt::all(), xt::range(first, first + kHeadDim));
}
Plain transposed(const Plain& x) { return xt::transpose(x); }

/// Calls `mix` with q, k and v of every head and joins what it gives: [B, N, C].
template <class Mix>
Plain for_heads(const Plain& qkv, const Mix& mix) {
  Plain y = xt::zeros<double>({qkv.shape(0), qkv.shape(1), kDim});
  for (size_t b = 0; b < qkv.shape(0); ++b)
    for (size_t h = 0; h < kHeads; ++h)
      xt::view(y, b, xt::all(), xt::range(h * kHeadDim, (h + 1) * kHeadDim)) =
          mix(head_of(qkv, b, 0, h), head_of(qkv, b, 1, h), head_of(qkv, b, 2, h), h);
  return y;
}

/// Each row over its sum (and eps).
Plain normalised_rows(const Plain& x, double eps) {
  const Plain sums = xt::sum(x, {1}, xt::keep_dims);
  return x / (sums + eps);
}

Plain probs_of(const Plain& q, const Plain& k, const Plain& bias) {
  return plain::attention_probs<double>(q, k, bias, kScale);
}

// ---- linear and relu_linear ----

class LinearAttentionTest : public testing::TestWithParam<std::string> {
 protected:
  static Plain features(const Plain& x) {
    if (GetParam() == "relu_linear") return xt::maximum(x, 0.0);
    return xt::where(x > 0.0, x + 1.0, xt::exp(xt::minimum(x, 0.0)));
  }
  static double eps() { return GetParam() == "relu_linear" ? 1e-5 : 1e-6; }
  MechanismCheck check_{GetParam(), kShape};
};

TEST_P(LinearAttentionTest, EqualsTheMatrixOfAllScores) {
  const Plain mixed =
      for_heads(check_.linear(check_.plain_x(), "qkv"), [](const Plain& q, const Plain& k, const Plain& v, size_t) {
        return plain::matmul<double>(
            normalised_rows(plain::matmul<double>(features(q), transposed(features(k))), eps()), v);
      });
  test::expect_near(check_.run(), check_.linear(mixed, "proj"));
}

TEST_P(LinearAttentionTest, ObserversSeeRowsThatSumToOne) {
  const Tensor probs = check_.observed("probs");
  ASSERT_EQ(probs.shape(), (Shape{2, 2, 14, 14}));
  for (int64_t row = 0; row < 2 * 2 * 14; ++row) {
    double sum = 0.0;
    for (int64_t i = 0; i < 14; ++i) sum += static_cast<double>(probs.f32()[row * 14 + i]);
    // Where no feature of a query meets one of a key there is nothing to share out.
    if (GetParam() == "linear" || sum > 0.0) {
      EXPECT_NEAR(sum, 1.0, 1e-3);
    }
  }
}

TEST_P(LinearAttentionTest, RefusesABias) {
  check_.input().bias = Tensor::zeros({1, 14, 14});
  EXPECT_THAT(test::usage_error([&] { check_.run(); }), testing::HasSubstr("no scores"));
}

INSTANTIATE_TEST_SUITE_P(Forms, LinearAttentionTest, testing::Values("linear", "relu_linear"),
                         [](const auto& item) { return item.param; });

// ---- nystrom ----

/// Means of nearly equal segments of the rows of x.
Plain segment_means(const Plain& x, size_t landmarks) {
  Plain means = xt::zeros<double>({landmarks, x.shape(1)});
  const size_t tokens = x.shape(0);
  for (size_t i = 0; i < landmarks; ++i) {
    const size_t begin = tokens * i / landmarks, end = tokens * (i + 1) / landmarks;
    const Plain rows = xt::view(x, xt::range(begin, end));
    xt::view(means, i) = xt::mean(rows, {0});
  }
  return means;
}

Plain pseudo_inverse(const Plain& a, size_t iterations) {
  const Plain identity = xt::eye<double>(a.shape(0));
  const Plain column_sums = xt::sum(a, {0});
  Plain z = transposed(a) / xt::amax(column_sums)();
  for (size_t i = 0; i < iterations; ++i) {
    const Plain az = plain::matmul<double>(a, z);
    const Plain inner = 15.0 * identity - plain::matmul<double>(az, Plain(7.0 * identity - az));
    z = 0.25 * plain::matmul<double>(z, Plain(13.0 * identity - plain::matmul<double>(az, inner)));
  }
  return z;
}

Plain nystrom_probs(const Plain& q, const Plain& k, size_t landmarks) {
  const Plain q_marks = segment_means(q, landmarks), k_marks = segment_means(k, landmarks), none = 0.0;
  const Plain inverse = pseudo_inverse(probs_of(q_marks, k_marks, none), 6);
  return plain::matmul<double>(plain::matmul<double>(probs_of(q, k_marks, none), inverse), probs_of(q_marks, k, none));
}

TEST(NystromAttention, EqualsItsApproximationOfTheMatrix) {
  MechanismCheck check("{type: nystrom, landmarks: 4}", kShape);
  const Plain mixed =
      for_heads(check.linear(check.plain_x(), "qkv"), [](const Plain& q, const Plain& k, const Plain& v, size_t) {
        return plain::matmul<double>(nystrom_probs(q, k, 4), v);
      });
  test::expect_near(check.run(), check.linear(mixed, "proj"));
  check.expect_slopes();
}

TEST(NystromAttention, ConvolvesTheValuesOfEachHead) {
  MechanismCheck check("{type: nystrom, landmarks: 4, conv_kernel: 3}", kShape);
  const Plain filter = check.parameter("conv.weight");
  const Plain mixed =
      for_heads(check.linear(check.plain_x(), "qkv"), [&](const Plain& q, const Plain& k, const Plain& v, size_t h) {
        Plain y = plain::matmul<double>(nystrom_probs(q, k, 4), v);
        for (size_t n = 0; n < v.shape(0); ++n)
          for (size_t tap = 0; tap < 3; ++tap)
            if (n + tap >= 1 && n + tap < v.shape(0) + 1)
              xt::view(y, n) += filter(h, 0, tap, 0) * xt::view(v, n + tap - 1);
        return y;
      });
  test::expect_near(check.run(), check.linear(mixed, "proj"));
  check.expect_slopes();
  check.expect_prepared_equals_plain();
}

TEST(NystromAttention, IsExactWithFewTokens) {
  MechanismCheck check("{type: nystrom, landmarks: 14}", kShape), exact("self", kShape);
  test::copy_parameters(check, exact);
  test::expect_near(check.run(), exact.run());
}

// ---- agent ----

/// Means of the bins of the 3 x 4 grid, as AdaptiveAvgPool2d((2, 2)) has them: rows {0, 1}, {1, 2}.
Plain pooled_agents(const Plain& q) {
  Plain agents = xt::zeros<double>({size_t{4}, q.shape(1)});
  for (size_t agent = 0; agent < 4; ++agent)
    for (size_t i = 0; i < 2; ++i)
      for (size_t j = 0; j < 2; ++j) {
        const size_t row = agent / 2 + i, col = agent % 2 * 2 + j;
        xt::view(agents, agent) += 0.25 * xt::view(q, 2 + row * 4 + col);
      }
  return agents;
}

/// The biases of head h with tables at the grid's own size: [A, N] of the agents, or their transposed place [N, A].
Plain agent_bias(MechanismCheck& check, size_t h, bool of_agents) {
  Plain bias = xt::zeros<double>({size_t{4}, size_t{14}});
  const Plain table = check.parameter(of_agents ? "an_bias" : "na_bias");
  const Plain rows = check.parameter(of_agents ? "ah_bias" : "ha_bias");
  const Plain cols = check.parameter(of_agents ? "aw_bias" : "wa_bias");
  const Plain prefix = check.parameter(of_agents ? "ac_bias" : "ca_bias");
  for (size_t a = 0; a < 4; ++a) {
    for (size_t p = 0; p < 2; ++p) bias(a, p) = of_agents ? prefix(0, h, a, p) : prefix(0, h, p, a);
    for (size_t row = 0; row < 3; ++row)
      for (size_t col = 0; col < 4; ++col) {
        // A table of one cell is the same everywhere.
        const double lines =
            of_agents ? rows(0, h, a, row, 0) + cols(0, h, a, 0, col) : rows(0, h, row, 0, a) + cols(0, h, 0, col, a);
        bias(a, 2 + row * 4 + col) = table(h, a, 0, 0) + lines;
      }
  }
  return of_agents ? bias : transposed(bias);
}

Plain agent_mixed(MechanismCheck& check, bool bias) {
  return for_heads(check.linear(check.plain_x(), "qkv"), [&](const Plain& q, const Plain& k, const Plain& v, size_t h) {
    const Plain agents = pooled_agents(q);
    const Plain to = bias ? agent_bias(check, h, true) : Plain(0.0);
    const Plain from = bias ? agent_bias(check, h, false) : Plain(0.0);
    const Plain gathered = plain::matmul<double>(probs_of(agents, k, to), v);
    return plain::matmul<double>(probs_of(q, agents, from), gathered);
  });
}

TEST(AgentAttention, EqualsItsDefinition) {
  MechanismCheck check("{type: agent, pool_size: 2, conv: false, bias: false}", kShape);
  test::expect_near(check.run(), check.linear(agent_mixed(check, false), "proj"));
}

TEST(AgentAttention, AddsItsBiases) {
  MechanismCheck check("{type: agent, pool_size: 2, conv: false, window: 1}", kShape);
  test::expect_near(check.run(), check.linear(agent_mixed(check, true), "proj"));
  check.expect_slopes();
}

TEST(AgentAttention, ConvolvesTheValuesOfTheGrid) {
  MechanismCheck check("{type: agent, pool_size: 2, bias: false}", kShape);
  Plain mixed = agent_mixed(check, false);
  const Plain qkv = check.linear(check.plain_x(), "qkv");
  const Plain weight = check.parameter("dwc.weight"), bias = check.parameter("dwc.bias");
  for (size_t b = 0; b < 2; ++b)
    for (size_t cell = 0; cell < 12; ++cell)
      for (size_t c = 0; c < kDim; ++c) {
        double sum = bias(c);
        for (size_t i = 0; i < 3; ++i)
          for (size_t j = 0; j < 3; ++j) {
            const size_t row = cell / 4 + i, col = cell % 4 + j;  // one more than the cell's own
            if (row < 1 || row > 3 || col < 1 || col > 4) continue;
            sum += weight(c, 0, i, j) * qkv(b, 2 + (row - 1) * 4 + col - 1, 2 * kDim + c);
          }
        mixed(b, 2 + cell, c) += sum;
      }
  test::expect_near(check.run(), check.linear(mixed, "proj"));
  check.expect_slopes();
}

}  // namespace
}  // namespace vit
