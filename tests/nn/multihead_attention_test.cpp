// Multi-head attention: prepared weights, a fused sum, and probabilities that are left out in training. torch's own
// numbers are the parity case A8b.
#include "vit/nn/multihead_attention.h"

#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "tests/support/model_check.h"
#include "vit/autograd/tape.h"

namespace vit {
namespace {

using test::random_tensor;

struct NamedOptions {
  std::string name;
  MultiheadAttentionOptions options;
};

class MultiheadAttentionTest : public testing::TestWithParam<NamedOptions> {
 protected:
  MultiheadAttentionOptions options_ = GetParam().options;
  Tensor query_ = random_tensor({2, 4, 6}, 5);
  Tensor key_ = random_tensor({2, 3, options_.kdim ? options_.kdim : 6}, 6);
  Tensor value_ = random_tensor({2, 3, options_.vdim ? options_.vdim : 6}, 7);
};

TEST_P(MultiheadAttentionTest, PreparedWeightsChangeNoNumbers) {
  MultiheadAttention attention(options_);
  test::fill_leaves(attention);
  Context ctx;
  const Tensor plain = attention.forward(ctx, query_, key_, value_).value().clone();
  attention.visit_modules([](const std::string&, Module& module) { module.prepare(); });
  test::expect_close(plain, attention.forward(ctx, query_, key_, value_).value());
  attention.visit_parameters([](const std::string& name, Parameter& parameter) {
    if (name.find("_proj_weight") == std::string::npos) return;
    EXPECT_FALSE(parameter.value.defined()) << name;
  });
}

TEST_P(MultiheadAttentionTest, TheSumIsFused) {
  MultiheadAttention attention(options_);
  test::fill_leaves(attention);
  Context ctx;
  const Tensor before = random_tensor({2, 4, 6}, 8);
  const Tensor apart = add(ctx, attention.forward(ctx, query_, key_, value_), before).value().clone();
  test::expect_close(apart, attention.forward(ctx, query_, key_, value_, {}, {.residual = before}).value());
}

INSTANTIATE_TEST_SUITE_P(
    Forms, MultiheadAttentionTest,
    testing::Values(NamedOptions{"plain", {.embed_dim = 6, .num_heads = 2}},
                    NamedOptions{"no_bias", {.embed_dim = 6, .num_heads = 3, .bias = false}},
                    NamedOptions{"other_widths", {.embed_dim = 6, .num_heads = 2, .kdim = 5, .vdim = 7}},
                    NamedOptions{"extra_keys",
                                 {.embed_dim = 6, .num_heads = 2, .add_bias_kv = true, .add_zero_attn = true}}),
    [](const auto& entry) { return entry.param.name; });

TEST(MultiheadAttention, PreparedSelfAttentionOfOneTensor) {
  MultiheadAttention attention({.embed_dim = 6, .num_heads = 2});
  test::fill_leaves(attention);
  Context ctx;
  const Var x = random_tensor({2, 4, 6}, 5);
  const Tensor plain = attention.forward(ctx, x, x, x).value().clone();
  attention.visit_modules([](const std::string&, Module& module) { module.prepare(); });
  test::expect_close(plain, attention.forward(ctx, x, x, x).value());
}

TEST(MultiheadAttention, DropsProbabilitiesInTrainingOnly) {
  MultiheadAttention dropping({.embed_dim = 6, .num_heads = 2, .dropout = 0.5f}),
      keeping({.embed_dim = 6, .num_heads = 2});
  for (MultiheadAttention* attention : {&dropping, &keeping}) test::fill_leaves(*attention);
  const Tensor query = random_tensor({2, 4, 6}, 5), key = random_tensor({2, 3, 6}, 6);
  Tensor padding = Tensor::empty({2, 3}, DType::boolean);
  for (int64_t i = 0; i < 6; ++i) padding.data<bool>()[i] = i == 5;
  const auto run = [&](const MultiheadAttention& attention, bool training, uint64_t seed) {
    Context ctx;
    ctx.training = training;
    ctx.seed = seed;
    return attention.forward(ctx, query, key, key, {.key_padding = padding}).value().clone();
  };
  EXPECT_TRUE(test::same_bits(run(dropping, false, 1), run(keeping, false, 1)));
  EXPECT_FALSE(test::same_bits(run(dropping, true, 1), run(dropping, true, 2)));
  // Over many draws the mean is what nothing dropped gives.
  Tensor mean = Tensor::zeros({2, 4, 6});
  constexpr uint64_t kDraws = 4000;
  for (uint64_t seed = 0; seed < kDraws; ++seed) {
    const Tensor draw = run(dropping, true, seed);
    for (int64_t i = 0; i < mean.numel(); ++i) mean.f32()[i] += draw.f32()[i] / static_cast<float>(kDraws);
  }
  const Tensor expected = run(keeping, true, 0);
  for (int64_t i = 0; i < mean.numel(); ++i) EXPECT_NEAR(mean.f32()[i], expected.f32()[i], 0.1) << i;
}

TEST(MultiheadAttention, GradientsThroughDroppedProbabilitiesAreTheSlopes) {
  MultiheadAttention attention({.embed_dim = 6, .num_heads = 2, .dropout = 0.4f});
  test::fill_leaves(attention);
  const Tensor query = random_tensor({2, 4, 6}, 5), key = random_tensor({2, 3, 6}, 6);
  test::expect_directional_derivatives(attention, [&](Context& ctx) {
    ctx.training = true;
    ctx.seed = 3;
    ctx.random_calls = 0;
    return attention.forward(ctx, query, key, key);
  });
}

}  // namespace
}  // namespace vit
