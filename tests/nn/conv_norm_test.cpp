#include "vit/nn/conv_norm.h"

#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"
#include "tests/support/tolerance.h"
#include "vit/autograd/gate_ops.h"
#include "vit/autograd/plain_maps.h"

namespace vit {
namespace {

using test::random_tensor;
using test::same_bits;

const Conv2dOptions kStrided{.kernel_h = 3, .kernel_w = 3, .stride = 2, .padding = 1};

void expect_near(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_LE(test::relative_l2(a.f32(), b.f32(), a.numel()), test::rounding_tolerance(200, 1.0));
}

const Conv2dOptions kThreeByThree{.kernel_h = 3, .kernel_w = 3, .padding = 1};

std::vector<ConvNormOptions> forms() {
  Conv2dOptions grouped = kStrided;
  grouped.groups = 3;
  return {{.conv = unbiased(6, 9, kStrided)},
          {.conv = unbiased(6, 9, grouped)},
          {.conv = {.in_channels = 6, .out_channels = 9}, .conv_name = "z", .norm_name = "norm"},
          {.conv = unbiased(6, 6, {.kernel_h = 3, .kernel_w = 3, .padding = 1, .groups = 6}), .norm = {.eps = 1e-3f}}};
}

TEST(ConvNorm, FoldedItComputesTheSame) {
  const Tensor x = random_tensor({2, 5, 7, 6}, 1);
  for (const ConvNormOptions& options : forms()) {
    ConvNorm part(options);
    test::fill_leaves(part);
    Context ctx;
    const Tensor y = part.forward(ctx, x, Activation::relu).value().clone();
    const Tensor residual = random_tensor(y.shape(), 2);
    const Tensor sum = part.forward_add(ctx, x, residual, Activation::relu).value().clone();
    part.prepare();
    expect_near(part.forward(ctx, x, Activation::relu).value(), y);
    expect_near(part.forward_add(ctx, x, residual, Activation::relu).value(), sum);
    EXPECT_TRUE(same_bits(residual, random_tensor(y.shape(), 2)));
  }
}

TEST(ConvNorm, GradientsAreTheSlopes) {
  const Tensor x = random_tensor({2, 5, 7, 6}, 1);
  for (const ConvNormOptions& options : forms()) {
    ConvNorm part(options);
    test::fill_leaves(part);
    test::expect_directional_derivatives(part, [&](Context& ctx) {
      ctx.training = true;
      ctx.update_statistics = false;
      return part.forward(ctx, x, Activation::silu);
    });
  }
}

TEST(ConvNorm, NamesAndFrozenNorms) {
  std::map<std::string, bool> buffers;
  ConvNorm part({.conv = unbiased(2, 3), .conv_name = "0", .norm_name = "1", .frozen = true});
  part.visit_parameters([&](const std::string& name, Parameter& parameter) { buffers[name] = parameter.buffer; });
  EXPECT_EQ(buffers, (std::map<std::string, bool>{{"0.weight", false},
                                                  {"1.weight", true},
                                                  {"1.bias", true},
                                                  {"1.running_mean", true},
                                                  {"1.running_var", true}}));
  test::fill_leaves(part);
  const Tensor x = random_tensor({2, 3, 3, 2}, 1);
  Context ctx;
  const Tensor inferred = part.forward(ctx, x).value().clone();
  ctx.training = true;
  EXPECT_TRUE(same_bits(part.forward(ctx, x).value(), inferred));
}

TEST(ActivateInPlace, OnlyWhatNobodyElseHolds) {
  Context ctx;
  const Tensor kept = random_tensor({3, 5}, 1);
  const Tensor y = activate_in_place(ctx, kept, Activation::relu).value();
  EXPECT_TRUE(same_bits(kept, random_tensor({3, 5}, 1)));
  EXPECT_NE(y.raw(), kept.raw());
  Tensor given = random_tensor({3, 5}, 1);
  const void* memory = given.raw();
  const Tensor z = activate_in_place(ctx, std::move(given), Activation::relu).value();
  EXPECT_EQ(z.raw(), memory);
  EXPECT_TRUE(same_bits(z, y));
}

TEST(ConvNorm, AResidualHandedOverBecomesTheResult) {
  for (const ConvNormOptions& options :
       {ConvNormOptions{.conv = unbiased(6, 6)}, ConvNormOptions{.conv = unbiased(6, 6, kThreeByThree)},
        ConvNormOptions{.conv = unbiased(32, 32, kThreeByThree)}}) {
    ConvNorm part(options);
    test::fill_leaves(part);
    part.prepare();
    Context ctx;
    const Shape shape{2, 5, 7, options.conv.out_channels};
    const Tensor x = random_tensor(shape, 1), residual = random_tensor(shape, 2);
    const Tensor expected = part.forward_add(ctx, x, residual, Activation::relu).value();
    Tensor copy = residual.clone();
    const float* memory = copy.f32();
    const Tensor y = part.forward_add(ctx, x, std::move(copy), Activation::relu).value();
    EXPECT_EQ(y.f32(), memory);
    EXPECT_TRUE(same_bits(y, expected));
    EXPECT_TRUE(same_bits(residual, random_tensor(shape, 2)));
  }
}

}  // namespace
}  // namespace vit
