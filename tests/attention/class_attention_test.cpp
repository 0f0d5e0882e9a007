// Class attention against its plain definition, with one and with three projections, and what becomes of the patches.
#include "vit/attention/class_attention.h"

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

const AttentionShape kShape{.dim = 12, .num_heads = 3, .grid = {2, 3}, .prefix_tokens = 2};

/// Rows of the prefix tokens, [B, P, C].
Plain plain_rows(MechanismCheck& check, bool packed) {
  const Plain x = check.plain_x();
  const Plain qkv = packed ? check.linear(x, "qkv") : Plain();
  const auto part = [&](size_t index, const char* layer) {
    return packed ? plain::slice<double>(qkv, 2, index * 12, index * 12 + 12) : check.linear(x, layer);
  };
  const Plain q = plain::slice<double>(part(0, "q"), 1, 0, 2);
  const Plain bias = xt::zeros<double>({1, 1, 1, 1});
  return check.linear(plain::multihead_attention<double>(q, part(1, "k"), part(2, "v"), bias, 3, 0.5), "proj");
}

class ClassAttentionTest : public testing::TestWithParam<bool> {
 protected:
  MechanismCheck check_{GetParam() ? "{type: class_attention, packed: true}" : "class_attention", kShape};
};

TEST_P(ClassAttentionTest, PrefixTokensAskAndPatchesGetZeros) {
  const Plain others = xt::zeros<double>({2, 6, 12});
  test::expect_near(check_.run(), plain::concat<double>(plain_rows(check_, GetParam()), others, 1));
}

TEST_P(ClassAttentionTest, SkipConnectionAndLayerScale) {
  const Tensor residual = random_tensor({2, 8, 12}, 5), gamma = random_tensor({12}, 6);
  check_.input().residual = {.gamma = gamma, .residual = residual};
  const Plain others = xt::zeros<double>({2, 6, 12});
  const Plain branch = plain::concat<double>(plain_rows(check_, GetParam()), others, 1);
  test::expect_near(check_.run(), Plain(test::wide(residual) + test::wide(gamma) * branch));
  check_.expect_slopes();
}

TEST_P(ClassAttentionTest, OnlyWantedTokens) {
  const Plain rows = plain_rows(check_, GetParam());
  for (const int64_t wanted : {1, 2}) {
    check_.input().wanted_tokens = wanted;
    test::expect_near(check_.run(), plain::slice<double>(rows, 1, 0, static_cast<size_t>(wanted)));
  }
  check_.expect_slopes();
  check_.expect_prepared_equals_plain();
}

TEST_P(ClassAttentionTest, ObserversSeeTheRowsOfThePrefix) {
  const Tensor probs = check_.observed("probs");
  ASSERT_EQ(probs.shape(), (Shape{2, 3, 2, 8}));
  for (int64_t row = 0; row < 12; ++row) {
    double sum = 0.0;
    for (int64_t i = 0; i < 8; ++i) sum += static_cast<double>(probs.f32()[row * 8 + i]);
    EXPECT_NEAR(sum, 1.0, 1e-5);
  }
  EXPECT_EQ(check_.observed("scores").shape(), (Shape{2, 3, 2, 8}));
}

INSTANTIATE_TEST_SUITE_P(Forms, ClassAttentionTest, testing::Bool(),
                         [](const auto& item) { return item.param ? "packed" : "separate"; });

TEST(ClassAttention, NeedsAClassToken) {
  const std::string message = test::usage_error([] {
    build_attention(ConfigNode::parse("class_attention", "test"), {.dim = 12, .num_heads = 3, .grid = {2, 3}});
  });
  EXPECT_THAT(message, testing::HasSubstr("class_token: true"));
}

}  // namespace
}  // namespace vit
