// Dropout and drop path: what the masks are, when they are, and that the gradient has the same ones.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "vit/autograd/ops.h"
#include "vit/autograd/tape.h"
#include "vit/core/parallel.h"

namespace vit {
namespace {

using test::random_tensor;
using test::same_bits;

/// y and d_x of one pass for x of ones and d_y of ones: with them both are the mask.
struct Masks {
  Tensor value, gradient;
};

Masks dropout_masks(float p, uint64_t seed, const Shape& shape = {40, 50, 30}) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  ctx.training = true;
  ctx.seed = seed;
  const Var x = Var::leaf(Tensor::full(shape, 1.0f));
  const Var y = dropout(ctx, x, p);
  tape.backward(y, Tensor::full(shape, 1.0f));
  return {y.value(), x.grad()};
}

TEST(Dropout, DropsTheShareAskedForAndKeepsTheMean) {
  for (const float p : {0.1f, 0.5f, 0.9f}) {
    const Tensor mask = dropout_masks(p, 1).value;
    int64_t dropped = 0;
    for (const float value : mask.span<float>()) {
      if (value == 0.0f)
        ++dropped;
      else
        EXPECT_FLOAT_EQ(value, 1.0f / (1.0f - p));
    }
    const double n = static_cast<double>(mask.numel()), share = static_cast<double>(dropped) / n;
    EXPECT_NEAR(share, p, 5.0 * std::sqrt(p * (1.0 - p) / n));  // five standard deviations of a binomial share
  }
}

TEST(Dropout, NeighboursAreIndependent) {
  const Tensor mask = dropout_masks(0.5f, 3).value;
  double both = 0.0;
  for (int64_t i = 0; i + 1 < mask.numel(); ++i) both += mask.f32()[i] == 0.0f && mask.f32()[i + 1] == 0.0f ? 1.0 : 0.0;
  const double n = static_cast<double>(mask.numel() - 1);
  EXPECT_NEAR(both / n, 0.25, 6.0 * std::sqrt(0.25 * 0.75 / n));
  // Two grains of one mask, drawn by whoever comes first, are not the same numbers.
  const int64_t grain = mask.numel() / 4;
  double equal = 0.0;
  for (int64_t i = 0; i < grain; ++i) equal += mask.f32()[i] == mask.f32()[i + 2 * grain] ? 1.0 : 0.0;
  EXPECT_NEAR(equal / static_cast<double>(grain), 0.5, 6.0 * std::sqrt(0.25 / static_cast<double>(grain)));
}

TEST(Dropout, TheGradientHasTheMask) {
  const Masks masks = dropout_masks(0.3f, 4);
  EXPECT_TRUE(same_bits(masks.value, masks.gradient));
}

TEST(Dropout, TheMaskIsAFunctionOfSeedAndPlace) {
  EXPECT_TRUE(same_bits(dropout_masks(0.3f, 4).value, dropout_masks(0.3f, 4).value));
  EXPECT_FALSE(same_bits(dropout_masks(0.3f, 4).value, dropout_masks(0.3f, 5).value));
  Context ctx;
  ctx.training = true;
  const Tensor x = Tensor::full({100}, 1.0f);
  const Tensor first = dropout(ctx, x, 0.5f).value().clone(), second = dropout(ctx, x, 0.5f).value();
  EXPECT_FALSE(same_bits(first, second));
}

TEST(Dropout, SameBitsOnAnyNumberOfThreads) {
  set_num_threads(1);
  const Tensor one = dropout_masks(0.3f, 6).value;
  for (const int threads : {2, 8}) {
    set_num_threads(threads);
    EXPECT_TRUE(same_bits(one, dropout_masks(0.3f, 6).value)) << threads << " threads";
  }
  set_num_threads(0);
}

TEST(Dropout, IsOffOutsideTrainingAndAtZero) {
  Context ctx;
  const Tensor x = random_tensor({7, 9}, 1);
  EXPECT_EQ(dropout(ctx, x, 0.5f).value().raw(), x.raw());
  ctx.training = true;
  EXPECT_EQ(dropout(ctx, x, 0.0f).value().raw(), x.raw());
  EXPECT_EQ(ctx.random_calls, 0u);
  EXPECT_THAT(test::failure([&] { dropout(ctx, x, 1.0f); }), testing::HasSubstr("dropout: the probability"));
  EXPECT_THAT(test::failure([&] { drop_path(ctx, x, x, -0.1f); }), testing::HasSubstr("drop_path: the probability"));
}

struct PathRun {
  Tensor value, d_residual, d_branch;
};

PathRun drop_path_run(const Tensor& residual, const Tensor& branch, float p, bool training, uint64_t seed) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  ctx.training = training;
  ctx.seed = seed;
  const Var r = Var::leaf(residual), b = Var::leaf(branch);
  const Var y = drop_path(ctx, r, b, p);
  tape.backward(y, Tensor::full(y.shape(), 1.0f));
  return {y.value().clone(), r.grad(), b.grad()};
}

TEST(DropPath, LeavesOutWholeBranchesAndTheGradientFollows) {
  constexpr int64_t kSamples = 4000, kSize = 6;
  const Tensor residual = random_tensor({kSamples, 2, 3}, 2), branch = random_tensor({kSamples, 2, 3}, 3);
  const float p = 0.2f, kept = 1.0f / (1.0f - p);
  const PathRun run = drop_path_run(residual, branch, p, true, 7);
  int64_t dropped = 0;
  for (int64_t b = 0; b < kSamples; ++b) {
    const float factor = run.d_branch.f32()[b * kSize];
    EXPECT_TRUE(factor == 0.0f || factor == kept) << factor;
    dropped += factor == 0.0f ? 1 : 0;
    for (int64_t i = b * kSize; i < (b + 1) * kSize; ++i) {
      EXPECT_EQ(run.d_branch.f32()[i], factor);
      EXPECT_EQ(run.d_residual.f32()[i], 1.0f);
      EXPECT_FLOAT_EQ(run.value.f32()[i], residual.f32()[i] + factor * branch.f32()[i]);
    }
  }
  const double n = static_cast<double>(kSamples);
  EXPECT_NEAR(static_cast<double>(dropped) / n, p, 5.0 * std::sqrt(p * (1.0 - p) / n));
}

TEST(DropPath, IsAnAdditionOutsideTraining) {
  const Tensor residual = random_tensor({3, 4}, 2), branch = random_tensor({3, 4}, 3);
  Context ctx;
  EXPECT_TRUE(same_bits(drop_path_run(residual, branch, 0.5f, false, 7).value, add(ctx, branch, residual).value()));
}

}  // namespace
}  // namespace vit
