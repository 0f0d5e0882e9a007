// The hybrid encoder: its fused convolutions, maps of any extents, gradients.
#include "detection/hybrid_encoder.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_check.h"
#include "vit/autograd/tensor_ops.h"

namespace detection {
namespace {

using testing::HasSubstr;
using vit::Context;
using vit::Tensor;
using vit::Var;
using vit::test::random_tensor;

HybridEncoderOptions small() {
  return {.dim = 8,
          .maps = 3,
          .attended = {2},
          .layers = 1,
          .heads = 2,
          .ffn_dim = 12,
          .csp_blocks = 2,
          .hidden_expansion = 0.5};
}

/// Odd extents: 7 x 5, 4 x 3, 2 x 2.
std::vector<Var> odd_maps() {
  return {random_tensor({2, 7, 5, 8}, 1), random_tensor({2, 4, 3, 8}, 2), random_tensor({2, 2, 2, 8}, 3)};
}

/// All maps as one tensor.
Var joined(Context& ctx, const std::vector<Var>& maps) {
  std::vector<Var> tokens;
  for (const Var& map : maps) tokens.push_back(vit::reshape(ctx, map, {map.size(0), map.size(1) * map.size(2), 8}));
  return vit::concat(ctx, tokens, 1);
}

TEST(HybridEncoderTest, OneConvolutionIsTheSumOfTwo) {
  RepVggBlock block(6, vit::Activation::silu, {.eps = 1e-3f});
  vit::test::fill_leaves(block);
  Context ctx;
  const Tensor x = random_tensor({2, 5, 4, 6}, 1), residual = random_tensor({2, 5, 4, 6}, 2);
  const Tensor plain = block.forward(ctx, x, residual).value().clone();
  const Tensor alone = block.forward(ctx, x).value().clone();
  block.prepare();
  vit::test::expect_close(plain, block.forward(ctx, x, residual).value());
  vit::test::expect_close(alone, block.forward(ctx, x).value());
}

TEST(HybridEncoderTest, EveryCellIsDoubledAndTheMapCutToTheFinerOne) {
  Context ctx;
  const Tensor map = random_tensor({2, 2, 3, 4}, 1);
  const Tensor large = enlarge_map(ctx, map, 3, 5).value();
  ASSERT_EQ(large.shape(), vit::Shape({2, 3, 5, 4}));
  for (int64_t i = 0; i < large.numel(); ++i) {
    const int64_t channel = i % 4, col = i / 4 % 5, row = i / 20 % 3, b = i / 60;
    EXPECT_EQ(large.f32()[i], map.f32()[((b * 2 + row / 2) * 3 + col / 2) * 4 + channel]);
  }
  EXPECT_THAT(vit::test::failure([&] { enlarge_map(ctx, map, 5, 5); }), HasSubstr("half the extents"));
}

TEST(HybridEncoderTest, MapsOfOddExtentsKeepTheirShapesAndPackedWeightsTheirNumbers) {
  for (const bool first : {false, true}) {
    HybridEncoderOptions options = small();
    options.normalize_before = first;
    HybridEncoder encoder(options);
    vit::test::fill_leaves(encoder);
    Context ctx;
    const std::vector<Var> plain = encoder.forward(ctx, odd_maps());
    encoder.visit_modules([](const std::string&, vit::Module& module) { module.prepare(); });
    const std::vector<Var> packed = encoder.forward(ctx, odd_maps());
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(plain[i].shape(), odd_maps()[i].shape());
      vit::test::expect_close(plain[i].value(), packed[i].value());
    }
  }
}

TEST(HybridEncoderTest, GradientsAreTheSlopes) {
  HybridEncoder encoder(small());
  vit::test::fill_leaves(encoder);
  vit::test::expect_directional_derivatives(
      encoder, [&](Context& ctx) { return joined(ctx, encoder.forward(ctx, odd_maps())); });
}

TEST(HybridEncoderTest, OptionsThatMakeNoEncoderAreRefused) {
  HybridEncoderOptions options = small();
  options.attended = {3};
  EXPECT_THAT(vit::test::usage_error([&] { HybridEncoder encoder(options); }), HasSubstr("encode_proj_layers"));
  options = small();
  options.hidden_expansion = 0.01;
  EXPECT_THAT(vit::test::usage_error([&] { HybridEncoder encoder(options); }), HasSubstr("hidden_expansion"));
}

}  // namespace
}  // namespace detection
