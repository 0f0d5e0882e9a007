// Mechanisms that share, mix, subtract or gate the heads of self-attention, against their plain definitions.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/mechanism_check.h"
#include "vit/autograd/plain_tokens.h"

namespace vit {
namespace {

using test::MechanismCheck;
using test::Plain;
using test::random_tensor;

constexpr size_t kTokens = 7, kHeads = 4, kHeadDim = 6, kDim = kHeads * kHeadDim;
const AttentionShape kShape{.dim = kDim, .num_heads = kHeads};

MechanismCheck make(const std::string& options) { return MechanismCheck(options, kShape, 2, kTokens); }

Plain columns(const Plain& x, size_t begin, size_t end) { return plain::slice<double>(x, 2, begin, end); }
Plain zero_bias() { return xt::zeros<double>({1, 1, 1, 1}); }

/// Attention of one head inside [B, N, *]: queries and keys of `width` channels at these columns.
Plain plain_probs(const Plain& q, const Plain& k, const Plain& bias, size_t b, double scale) {
  return plain::attention_probs<double>(Plain(xt::view(q, b)), Plain(xt::view(k, b)), bias, scale);
}

// ---- grouped_query ----

/// Keys and values of the shared heads repeated for each query head: [B, N, K * D] -> [B, N, H * D].
Plain repeated(const Plain& shared, size_t kv_heads) {
  Plain y = xt::zeros<double>({shared.shape(0), shared.shape(1), kDim});
  for (size_t h = 0; h < kHeads; ++h) {
    const size_t group = h / (kHeads / kv_heads);
    xt::view(y, xt::all(), xt::all(), xt::range(h * kHeadDim, (h + 1) * kHeadDim)) =
        columns(shared, group * kHeadDim, (group + 1) * kHeadDim);
  }
  return y;
}

class GroupedQueryTest : public testing::TestWithParam<size_t> {
 protected:
  Plain expected(const Plain& bias) {
    const size_t kv = GetParam(), width = kv * kHeadDim;
    const Plain qkv = check_.linear(check_.plain_x(), "qkv");
    return check_.linear(
        plain::multihead_attention<double>(columns(qkv, 0, kDim), repeated(columns(qkv, kDim, kDim + width), kv),
                                           repeated(columns(qkv, kDim + width, kDim + 2 * width), kv), bias, kHeads,
                                           1.0 / std::sqrt(static_cast<double>(kHeadDim))),
        "proj");
  }

  MechanismCheck check_ = make(str("{type: grouped_query, num_kv_heads: ", GetParam(), "}"));
};

TEST_P(GroupedQueryTest, EqualsRepeatedKeysAndValues) {
  test::expect_near(check_.run(), expected(zero_bias()));
  check_.expect_slopes();
  check_.input().wanted_tokens = 3;
  test::expect_near(check_.run(), plain::slice<double>(expected(zero_bias()), 1, 0, 3));
}

TEST_P(GroupedQueryTest, BiasOfHeadsOrOfAll) {
  for (const int64_t heads : {int64_t{1}, static_cast<int64_t>(kHeads)}) {
    const Tensor bias = random_tensor({heads, kTokens, kTokens}, 8);
    const Plain wide = plain::reshaped<double>(test::wide(bias), {1, static_cast<size_t>(heads), kTokens, kTokens});
    check_.input().bias = bias;
    test::expect_near(check_.run(), expected(wide), str(heads));
  }
}

TEST_P(GroupedQueryTest, ObserversSeeEveryHead) {
  const Plain qkv = check_.linear(check_.plain_x(), "qkv");
  const size_t width = GetParam() * kHeadDim;
  const Plain k = repeated(columns(qkv, kDim, kDim + width), GetParam());
  const Plain none = xt::zeros<double>({kTokens, kTokens});
  Plain probs = xt::zeros<double>({size_t{2}, kHeads, kTokens, kTokens});
  for (size_t b = 0; b < 2; ++b)
    for (size_t h = 0; h < kHeads; ++h)
      xt::view(probs, b, h) =
          plain_probs(columns(qkv, h * kHeadDim, (h + 1) * kHeadDim), columns(k, h * kHeadDim, (h + 1) * kHeadDim),
                      none, b, 1.0 / std::sqrt(static_cast<double>(kHeadDim)));
  const Tensor seen = check_.observed("probs");
  EXPECT_EQ(seen.shape(), (Shape{2, kHeads, kTokens, kTokens}));
  test::expect_near(seen, probs);
}

INSTANTIATE_TEST_SUITE_P(Sharing, GroupedQueryTest, testing::Values(1, 2, 4),
                         [](const auto& item) { return str("kv_heads_", item.param); });

TEST(GroupedQuery, WithAllHeadsIsSelfAttention) {
  MechanismCheck check = make("{type: grouped_query, num_kv_heads: 4, qk_norm: layernorm}");
  MechanismCheck self = make("{type: self, qk_norm: layernorm}");
  test::copy_parameters(check, self);
  test::expect_near(check.run(), self.run());
}

TEST(GroupedQuery, HeadsMustDivide) {
  EXPECT_THAT(test::usage_error([] { make("{type: grouped_query, num_kv_heads: 3}"); }),
              testing::HasSubstr("num_kv_heads 3 must divide num_heads 4"));
}

// ---- talking_heads ----

/// y_g = sum_h weight(g, h) x_h + bias(g) over x [H, N, N].
Plain mix_heads(MechanismCheck& check, const std::string& layer, const Plain& x) {
  const Plain weight = check.parameter(layer + ".weight"), bias = check.parameter(layer + ".bias");
  Plain y = xt::zeros<double>(x.shape());
  for (size_t g = 0; g < kHeads; ++g) {
    Plain mixed = xt::zeros<double>({x.shape(1), x.shape(2)});
    for (size_t h = 0; h < kHeads; ++h) mixed = mixed + weight(g, h) * xt::view(x, h);
    xt::view(y, g) = mixed + bias(g);
  }
  return y;
}

Plain talking_heads(MechanismCheck& check, const Plain& bias) {
  const Plain qkv = check.linear(check.plain_x(), "qkv");
  Plain y = xt::zeros<double>({size_t{2}, kTokens, kDim});
  const auto head = [&](size_t part, size_t b, size_t h) {
    const size_t first = part * kDim + h * kHeadDim;
    return Plain(xt::view(qkv, b, xt::all(), xt::range(first, first + kHeadDim)));
  };
  for (size_t b = 0; b < 2; ++b) {
    Plain scores = xt::zeros<double>({kHeads, kTokens, kTokens});
    for (size_t h = 0; h < kHeads; ++h)
      xt::view(scores, h) = plain::matmul<double>(head(0, b, h), Plain(xt::transpose(head(1, b, h)))) /
                            std::sqrt(static_cast<double>(kHeadDim));
    scores = mix_heads(check, "proj_l", scores) + bias;
    Plain probs = xt::zeros<double>(scores.shape());
    for (size_t h = 0; h < kHeads; ++h) xt::view(probs, h) = plain::softmax<double>(Plain(xt::view(scores, h)));
    const Plain weights = mix_heads(check, "proj_w", probs);
    for (size_t h = 0; h < kHeads; ++h)
      xt::view(y, b, xt::all(), xt::range(h * kHeadDim, (h + 1) * kHeadDim)) =
          plain::matmul<double>(Plain(xt::view(weights, h)), head(2, b, h));
  }
  return check.linear(y, "proj");
}

TEST(TalkingHeads, EqualsItsDefinition) {
  MechanismCheck check = make("talking_heads");
  test::expect_near(check.run(), talking_heads(check, Plain(0.0)));
  check.expect_slopes();
  const Tensor bias = random_tensor({kHeads, kTokens, kTokens}, 8);
  check.input().bias = bias;
  const Plain all = talking_heads(check, test::wide(bias));
  test::expect_near(check.run(), all);
  check.input().wanted_tokens = 2;
  test::expect_near(check.run(), plain::slice<double>(all, 1, 0, 2));
  check.expect_prepared_equals_plain();
}

TEST(TalkingHeads, ThatDoNotTalkAreSelfAttention) {
  MechanismCheck check = make("talking_heads"), self = make("self");
  Tensor identity = Tensor::zeros({kHeads, kHeads});
  for (size_t h = 0; h < kHeads; ++h) identity.f32()[h * kHeads + h] = 1.0f;
  for (const char* layer : {"proj_l", "proj_w"}) {
    check.set_parameter(std::string(layer) + ".weight", identity);
    check.set_parameter(std::string(layer) + ".bias", Tensor::zeros({kHeads}));
  }
  test::copy_parameters(check, self);
  test::expect_near(check.run(), self.run());
  test::expect_near(check.observed("probs"), self.observed("probs"));
  test::expect_near(check.observed("scores"), self.observed("scores"));
}

// ---- differential ----

constexpr int64_t kLayer = 2;

double lambda_of(MechanismCheck& check) {
  const auto power = [&](const char* q, const char* k) {
    return std::exp(xt::sum(check.parameter(q) * check.parameter(k))());
  };
  return power("lambda_q1", "lambda_k1") - power("lambda_q2", "lambda_k2") + 0.8 - 0.6 * std::exp(-0.3 * kLayer);
}

/// The maps of all heads, [B, H, N, N].
Plain differential_probs(MechanismCheck& check, const Plain& qkv, const Plain& bias) {
  const size_t half = kHeadDim / 2;
  const double scale = 1.0 / std::sqrt(static_cast<double>(half)), lambda = lambda_of(check);
  Plain probs = xt::zeros<double>({size_t{2}, kHeads, kTokens, kTokens});
  for (size_t b = 0; b < 2; ++b)
    for (size_t h = 0; h < kHeads; ++h) {
      const auto map = [&](size_t first) {
        return plain_probs(columns(qkv, first, first + half), columns(qkv, kDim + first, kDim + first + half),
                           Plain(xt::view(bias, h)), b, scale);
      };
      xt::view(probs, b, h) = map(h * kHeadDim) - lambda * map(h * kHeadDim + half);
    }
  return probs;
}

Plain differential(MechanismCheck& check, const Plain& qkv, const Plain& probs) {
  const double kept = 0.2 + 0.6 * std::exp(-0.3 * kLayer);  // 1 - lambda_init
  const Plain norm = check.parameter("sub_norm.weight");
  Plain y = xt::zeros<double>({size_t{2}, kTokens, kDim});
  for (size_t b = 0; b < 2; ++b)
    for (size_t h = 0; h < kHeads; ++h) {
      const size_t first = 2 * kDim + h * kHeadDim;
      const Plain mixed = plain::matmul<double>(Plain(xt::view(probs, b, h)),
                                                Plain(xt::view(qkv, b, xt::all(), xt::range(first, first + kHeadDim))));
      xt::view(y, b, xt::all(), xt::range(h * kHeadDim, (h + 1) * kHeadDim)) =
          kept * plain::rms_norm<double>(mixed, norm, 1e-5);
    }
  return check.linear(y, "proj");
}

MechanismCheck make_differential(const std::string& options) {
  AttentionShape shape = kShape;
  shape.layer = kLayer;
  return MechanismCheck(options, shape, 2, kTokens);
}

TEST(Differential, EqualsItsDefinition) {
  MechanismCheck check = make_differential("differential");
  const Plain qkv = check.linear(check.plain_x(), "qkv"), none = xt::zeros<double>({kHeads, kTokens, kTokens});
  const Plain probs = differential_probs(check, qkv, none);
  test::expect_near(check.run(), differential(check, qkv, probs));
  test::expect_near(check.observed("probs"), probs);
  check.expect_slopes();
  const Tensor bias = random_tensor({kHeads, kTokens, kTokens}, 8);
  check.input().bias = bias;
  const Plain all = differential(check, qkv, differential_probs(check, qkv, test::wide(bias)));
  test::expect_near(check.run(), all);
  check.input().wanted_tokens = 3;
  test::expect_near(check.run(), plain::slice<double>(all, 1, 0, 3));
  check.expect_prepared_equals_plain();
}

TEST(Differential, NormsOfTheHalvesHaveGradients) {
  MechanismCheck check = make_differential("{type: differential, qk_norm: rmsnorm, scale_norm: layernorm}");
  EXPECT_EQ(check.parameter("q_norm.weight").size(), kHeadDim / 2);
  check.expect_slopes();
}

TEST(Differential, HeadsNeedTwoHalves) {
  EXPECT_THAT(test::usage_error([] { MechanismCheck("differential", {.dim = 12, .num_heads = 4}, 1, 3); }),
              testing::HasSubstr("2 * num_heads = 8"));
}

// ---- what those who merge tokens need ----

class OneRowOfBiasTest : public testing::TestWithParam<std::string> {};

TEST_P(OneRowOfBiasTest, IsThatRowForEveryQuery) {
  MechanismCheck check(GetParam(), kShape, 1, kTokens);
  const Tensor row = random_tensor({1, 1, 1, kTokens}, 8);
  Tensor rows = Tensor::empty({1, kTokens, kTokens});
  for (int64_t i = 0; i < rows.numel(); ++i) rows.f32()[i] = row.f32()[i % row.numel()];
  check.input().bias = row;
  const Tensor with_row = check.run();
  check.input().bias = rows;
  test::expect_near(with_row, check.run());
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, OneRowOfBiasTest,
                         testing::Values("self", "gated", "talking_heads", "differential", "grouped_query"),
                         [](const auto& item) { return item.param; });

TEST(OfferedKeys, AreThoseOfTheProjection) {
  for (const std::string name : {"self", "gated", "talking_heads", "differential"}) {
    EXPECT_TRUE(attention_registry().find(name).traits.offers_keys) << name;
    MechanismCheck check = make(name);
    HeadColumns keys;
    check.input().keys = &keys;
    Context ctx;
    check.forward(ctx);
    const Plain qkv = check.linear(check.plain_x(), "qkv");
    test::expect_near(slice_features(ctx, keys.tokens, keys.first, keys.first + static_cast<int64_t>(kDim)).value(),
                      columns(qkv, kDim, 2 * kDim), name);
  }
}

// ---- gated ----

class GatedTest : public testing::TestWithParam<bool> {
 protected:
  MechanismCheck check_ = make(GetParam() ? "{type: gated, headwise: true}" : "gated");
};

TEST_P(GatedTest, EqualsItsDefinition) {
  const Plain x = check_.plain_x(), qkv = check_.linear(x, "qkv");
  Plain y = plain::multihead_attention<double>(columns(qkv, 0, kDim), columns(qkv, kDim, 2 * kDim),
                                               columns(qkv, 2 * kDim, 3 * kDim), zero_bias(), kHeads,
                                               1.0 / std::sqrt(static_cast<double>(kHeadDim)));
  const Plain gate = plain::activate<double>(check_.linear(x, "gate"), Activation::sigmoid);
  ASSERT_EQ(gate.shape(2), GetParam() ? kHeads : kDim);
  for (size_t c = 0; c < kDim; ++c)
    xt::view(y, xt::all(), xt::all(), c) *= xt::view(gate, xt::all(), xt::all(), GetParam() ? c / kHeadDim : c);
  const Plain all = check_.linear(y, "proj");
  test::expect_near(check_.run(), all);
  check_.expect_slopes();
  check_.input().wanted_tokens = 2;
  test::expect_near(check_.run(), plain::slice<double>(all, 1, 0, 2));
  check_.expect_prepared_equals_plain();
}

INSTANTIATE_TEST_SUITE_P(Gates, GatedTest, testing::Bool(),
                         [](const auto& item) { return item.param ? "headwise" : "elementwise"; });

}  // namespace
}  // namespace vit
