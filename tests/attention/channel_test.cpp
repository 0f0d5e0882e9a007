// Attention between channels, DaViT's and XCiT's, against their plain definitions.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/mechanism_check.h"
#include "vit/autograd/plain_channels.h"
#include "vit/autograd/plain_tokens.h"

namespace vit {
namespace {

using test::MechanismCheck;
using test::Plain;
using test::random_tensor;

const AttentionShape kShape{.dim = 12, .num_heads = 3, .grid = {3, 5}};
constexpr double kTokens = 15.0, kWidth = 4.0;

struct Form {
  std::string name, options, order;  ///< `order`: rows, columns and mixed, of qkv
  double scale;
  bool normalize;
};

class ChannelMechanismTest : public testing::TestWithParam<Form> {
 protected:
  Plain definition() {
    const Plain qkv = check_.linear(check_.plain_x(), "qkv");
    const auto part = [&](size_t i) {
      const size_t first = std::string("qkv").find(GetParam().order[i]) * 12;
      return plain::slice<double>(qkv, 2, first, first + 12);
    };
    Plain temperature = xt::ones<double>({3});
    if (check_.has_parameter("temperature")) temperature = check_.parameter("temperature");
    temperature.reshape({3});
    return check_.linear(plain::channel_attention<double>(part(0), part(1), part(2), temperature, GetParam().scale,
                                                          GetParam().normalize),
                         "proj");
  }
  MechanismCheck check_{GetParam().options, kShape};
};

TEST_P(ChannelMechanismTest, IsItsDefinition) { test::expect_near(check_.run(), definition()); }

TEST_P(ChannelMechanismTest, SkipConnectionAndLayerScale) {
  const Tensor residual = random_tensor({2, 15, 12}, 5), gamma = random_tensor({12}, 6);
  const Plain branch = definition();
  check_.input().residual = {.gamma = gamma, .residual = residual};
  test::expect_near(check_.run(), Plain(test::wide(residual) + test::wide(gamma) * branch));
  check_.expect_slopes();
}

TEST_P(ChannelMechanismTest, OnlyWantedTokens) {
  const Plain all = definition();
  check_.input().wanted_tokens = 4;
  test::expect_near(check_.run(), plain::slice<double>(all, 1, 0, 4));
  check_.expect_prepared_equals_plain();
}

TEST_P(ChannelMechanismTest, ObserversSeeTheChannelMatrix) {
  const Tensor probs = check_.observed("channel_probs");
  ASSERT_EQ(probs.shape(), (Shape{2, 3, 4, 4}));
  for (int64_t row = 0; row < 24; ++row) {
    double sum = 0.0;
    for (int64_t i = 0; i < 4; ++i) sum += static_cast<double>(probs.f32()[row * 4 + i]);
    EXPECT_NEAR(sum, 1.0, 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, ChannelMechanismTest,
                         testing::Values(Form{"davit", "channel_group", "kvq", 1.0 / std::sqrt(kWidth), false},
                                         Form{"florence", "{type: channel_group, roles: q_k}", "qkv",
                                              1.0 / std::sqrt(kTokens), false},
                                         Form{"xcit", "cross_covariance", "qkv", 1.0, true}),
                         [](const auto& item) { return item.param.name; });

TEST(ChannelMechanism, ImpossibleHeadsAreRefused) {
  for (const char* name : {"channel_group", "cross_covariance"})
    EXPECT_THAT(
        test::usage_error([&] { build_attention(ConfigNode::parse(name, "test"), {.dim = 12, .num_heads = 5}); }),
        testing::HasSubstr("divisible by num_heads 5"));
}

}  // namespace
}  // namespace vit
