// What observers see of gradients.
#include "vit/autograd/observed.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "tests/support/gradient_check.h"
#include "vit/autograd/tape.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {
namespace {

/// Keeps everything whose name it is told.
class Keeper : public Observer {
 public:
  explicit Keeper(std::vector<std::string> names) : names_(std::move(names)) {}
  bool wants(const std::string& name) override { return std::find(names_.begin(), names_.end(), name) != names_.end(); }
  void observe(const std::string& name, const Tensor& value) override { seen[name] = value.clone(); }
  std::map<std::string, Tensor> seen;

 private:
  std::vector<std::string> names_;
};

void expect_close(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  for (int64_t i = 0; i < a.numel(); ++i) EXPECT_NEAR(a.f32()[i], b.f32()[i], 1e-5) << i;
}

/// The loss sum(weights * y), as what backward begins with.
void run_back(Tape& tape, const Var& y, const Tensor& weights) { tape.backward(y, weights); }

TEST(Observed, ShowsValueAndWholeGradient) {
  Keeper keeper({"block.x", "block.x.grad"});
  Context ctx;
  ctx.observer = &keeper;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var leaf = Var::leaf(test::random_tensor({2, 3}, 1));
  Var y;
  {
    Scope scope(ctx, "block");
    const Var x = observed(ctx, "x", scale(ctx, leaf, 2.0f));
    y = add(ctx, multiply(ctx, x, x), x);  // two ways: the gradient is 2 x + 1
  }
  run_back(tape, y, Tensor::full({2, 3}, 1.0f));
  const Tensor& x = keeper.seen.at("block.x");
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(keeper.seen.at("block.x.grad").f32()[i], 2.0f * x.f32()[i] + 1.0f, 1e-5);
    EXPECT_NEAR(leaf.grad().f32()[i], 2.0f * (2.0f * x.f32()[i] + 1.0f), 1e-5);
  }
}

TEST(Observed, BeginsTheTapeWhereNothingBeforeHasAGradient) {
  Keeper keeper({"x.grad"});
  Context ctx;
  ctx.observer = &keeper;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var before = scale(ctx, test::random_tensor({4}, 1), 3.0f);
  EXPECT_EQ(tape.size(), 0u);
  run_back(tape, scale(ctx, observed(ctx, "x", before), 5.0f), Tensor::full({4}, 1.0f));
  EXPECT_EQ(keeper.seen.at("x.grad").f32()[2], 5.0f);
}

TEST(ObservedAttention, BeginsTheTapeAmongConstants) {
  Keeper keeper({"probs.grad"});
  Context ctx;
  ctx.observer = &keeper;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Tensor q = test::random_tensor({1, 3, 2}, 1), k = test::random_tensor({1, 3, 2}, 2),
               v = test::random_tensor({1, 3, 2}, 3);
  const Var y = observed_attention(ctx, {Var(q)}, {Var(k)}, {Var(v)}, {.heads = 1, .head_dim = 2, .scale = 1.0f});
  run_back(tape, y, Tensor::full({1, 3, 2}, 1.0f));
  for (int64_t i = 0; i < 9; ++i)
    EXPECT_NEAR(keeper.seen.at("probs.grad").f32()[i], v.f32()[i % 3 * 2] + v.f32()[i % 3 * 2 + 1], 1e-5);
}

TEST(Observed, RecordsNothingThatNobodyWants) {
  Keeper keeper({"other"});
  Context ctx;
  ctx.observer = &keeper;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var leaf = Var::leaf(test::random_tensor({4}, 1));
  EXPECT_TRUE(observed(ctx, "x", leaf).same(leaf));
  EXPECT_EQ(tape.size(), 0u);
  EXPECT_TRUE(keeper.seen.empty());
}

TEST(ObservedAttention, ShowsTheGradientOfTheProbabilities) {
  constexpr int64_t kHeads = 2, kDim = 3, kTokens = 5, kBatch = 2;
  const Tensor q = test::random_tensor({kBatch, kTokens, 6}, 1), k = test::random_tensor({kBatch, kTokens, 6}, 2),
               v = test::random_tensor({kBatch, kTokens, 6}, 3), weights = test::random_tensor({kBatch, kTokens, 6}, 4);
  const AttentionOptions options{.heads = kHeads, .head_dim = kDim, .scale = 0.7f};
  Keeper keeper({"probs", "probs.grad"});
  Context ctx;
  ctx.observer = &keeper;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var leaf = Var::leaf(q);
  run_back(tape, observed_attention(ctx, {leaf}, {Var(k)}, {Var(v)}, options), weights);

  // The same step by step, where the probabilities are a variable of their own.
  Context plain;
  Tape steps(plain);
  plain.tape = &steps;
  const Var probs = Var::leaf(keeper.seen.at("probs"));
  const Var mixed = merge_heads(plain, matmul(plain, probs, split_heads(plain, {Var(v)}, kHeads, kDim)));
  run_back(steps, mixed, weights);
  expect_close(keeper.seen.at("probs.grad"), probs.grad());

  // And what flows on is what flows without anybody looking.
  Context unseen;
  Tape quiet(unseen);
  unseen.tape = &quiet;
  const Var other = Var::leaf(q);
  run_back(quiet, attention(unseen, {other}, {Var(k)}, {Var(v)}, options), weights);
  expect_close(leaf.grad(), other.grad());
}

}  // namespace
}  // namespace vit
