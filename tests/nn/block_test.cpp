// The block under training: only the wanted tokens of the last block are computed there too, and multi-head attention
// knows one variable from two that share memory.
#include "vit/nn/block.h"

#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"
#include "tests/support/tolerance.h"
#include "vit/attention/self.h"
#include "vit/autograd/tape.h"
#include "vit/nn/multihead_attention.h"

namespace vit {
namespace {

using test::random_tensor;

constexpr int64_t kBatch = 4, kTokens = 7, kDim = 12, kWanted = 2;

struct BlockRun {
  Tensor value, d_x;
  std::map<std::string, Tensor> gradients;
};

/// The first kWanted tokens of a block's output in training: asked for, or cut off afterwards.
BlockRun run(Block& block, bool asked) {
  Context ctx;
  ctx.training = true;
  ctx.seed = 3;
  const Var x = Var::leaf(random_tensor({kBatch, kTokens, kDim}, 1));
  BlockRun result;
  const auto pass = [&](Context& c) {
    const Var y =
        asked ? block.forward(c, x, {.wanted_tokens = kWanted}) : slice_tokens(c, block.forward(c, x, {}), 0, kWanted);
    result.value = y.value().clone();
    return y;
  };
  result.gradients = test::gradients_of(block, ctx, pass, random_tensor({kBatch, kWanted, kDim}, 2));
  result.d_x = x.grad();
  return result;
}

void expect_near(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  EXPECT_LE(test::relative_l2(a.f32(), b.f32(), a.numel()), test::rounding_tolerance(400, 1.0)) << what;
}

TEST(Block, ObserversSeeTheLayoutWhereTheMechanismRuns) {
  struct Layout : Observer {
    bool wants(const std::string& name) override { return name == "attn.layout"; }
    void observe(const std::string& name, const Tensor& tensor) override {
      if (wants(name)) value = tensor.clone();
    }
    Tensor value;
  } observer;
  Block block({.dim = kDim, .mlp = {.dim = kDim, .hidden = 20}},
              attention_registry().find("self").make({kDim, 3}, ConfigNode()));
  test::fill_leaves(block);
  Context ctx;
  ctx.observer = &observer;
  block.forward(ctx, random_tensor({kBatch, kTokens, kDim}, 1), {.grid = {2, 3}, .prefix_tokens = 1});
  ASSERT_EQ(observer.value.shape(), (Shape{3}));
  const std::vector<float> seen(observer.value.f32(), observer.value.f32() + 3);
  EXPECT_EQ(seen, (std::vector<float>{1, 2, 3}));
}

TEST(Block, WantedTokensInTrainingGiveTheSameGradients) {
  for (const float drop_path : {0.0f, 0.5f}) {
    for (const char* options : {"{}", "{qk_norm: layernorm}"}) {
      Block block({.dim = kDim, .init_values = 0.5f, .mlp = {.dim = kDim, .hidden = 20}},
                  attention_registry().find("self").make({kDim, 3}, ConfigNode::parse(options, "options")));
      block.set_dropout({.drop_path = drop_path});
      test::fill_leaves(block);
      const BlockRun some = run(block, true), all = run(block, false);
      expect_near(some.value, all.value, "value");
      expect_near(some.d_x, all.d_x, "d_x");
      ASSERT_EQ(some.gradients.size(), all.gradients.size());
      for (const auto& [name, gradient] : some.gradients) expect_near(gradient, all.gradients.at(name), name);
    }
  }
}

TEST(Block, WantedTokensWithDropoutHaveGradients) {
  Block block({.dim = kDim, .mlp = {.dim = kDim, .hidden = 20, .gated = true}},
              attention_registry().find("self").make({kDim, 3}, ConfigNode()));
  block.set_dropout({.proj_drop = 0.3f, .drop_path = 0.2f});
  test::fill_leaves(block);
  const BlockRun result = run(block, true);
  EXPECT_EQ(result.value.shape(), (Shape{kBatch, kWanted, kDim}));
  block.visit_parameters(
      [&](const std::string& name, Parameter&) { EXPECT_TRUE(result.gradients.count(name)) << name; });
}

// A detached key is another variable than the query even where both read one memory: it gets no gradient.
TEST(MultiheadAttention, SharedMemoryIsNotSharedGradient) {
  MultiheadAttention attention({.embed_dim = 6, .num_heads = 2});
  test::fill_leaves(attention);
  const Tensor tokens = random_tensor({2, 5, 6}, 4);
  const auto query_gradient = [&](const Tensor& memory) {
    Context ctx;
    const Var query = Var::leaf(tokens), rest = memory;
    test::gradients_of(attention, ctx, [&](Context& c) { return attention.forward(c, query, rest, rest); });
    return query.grad();
  };
  expect_near(query_gradient(tokens), query_gradient(tokens.clone()), "query");
}

TEST(MultiheadAttention, GradientsAreTheSlopes) {
  for (const bool extras : {false, true}) {
    MultiheadAttention attention(
        {.embed_dim = 6, .num_heads = 2, .kdim = extras ? 5 : 0, .add_bias_kv = extras, .add_zero_attn = extras});
    test::fill_leaves(attention);
    const Tensor query = random_tensor({2, 4, 6}, 5), key = random_tensor({2, 3, extras ? 5 : 6}, 6);
    const Tensor value = random_tensor({2, 3, 6}, 7);
    test::expect_directional_derivatives(attention,
                                         [&](Context& ctx) { return attention.forward(ctx, query, key, value); });
    if (!extras)
      test::expect_directional_derivatives(attention,
                                           [&](Context& ctx) { return attention.forward(ctx, query, query, query); });
  }
}

}  // namespace
}  // namespace vit
