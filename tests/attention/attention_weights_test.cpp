// Weights that mechanisms hand to listeners: what observers see, with a gradient, and no other result because of it.
#include "vit/attention/attention_weights.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/gradient_check.h"
#include "tests/support/mechanism_check.h"

namespace vit {
namespace {

const AttentionShape kShape{.dim = 6, .num_heads = 2, .memory_dim = 4};

class Listened : public testing::TestWithParam<const char*> {};

TEST_P(Listened, WeightsAreWhatObserversSee) {
  test::MechanismCheck check(GetParam(), kShape, 2, 5);
  auto* source = dynamic_cast<WeightsSource*>(&check.mechanism());
  ASSERT_NE(source, nullptr);
  const Tensor probs = check.observed("probs");
  const Tensor alone = check.run();
  Var heard;
  source->listen_to_weights([&](const Var& weights) { heard = weights; });
  test::expect_near(check.run(), alone);
  EXPECT_FALSE(heard.defined()) << "without a tape nobody can learn from it";
  check.expect_slopes();
  ASSERT_TRUE(heard.defined());
  EXPECT_TRUE(heard.requires_grad());
  test::expect_near(heard.value(), probs);
}

INSTANTIATE_TEST_SUITE_P(Mechanisms, Listened, testing::Values("additive", "multiplicative", "cross", "hard"),
                         [](const auto& item) { return std::string(item.param); });

}  // namespace
}  // namespace vit
