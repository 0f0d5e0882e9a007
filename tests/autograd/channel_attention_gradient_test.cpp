// Attention between channels: values and gradients against finite differences, norms included.
#include <gtest/gtest.h>

#include "tests/support/gradient_check.h"
#include "vit/autograd/attention_ops.h"
#include "vit/autograd/plain_channels.h"
#include "vit/autograd/plain_tokens.h"

namespace vit {
namespace {

using test::GradientCase;
using test::Plain;
using test::random_tensor;

struct Sizes {
  int64_t batch, tokens, heads, dim;
};

/// q, k and v in one packed tensor, in the order given by `order` ("qkv": queries first).
GradientCase packed_case(const std::string& name, const Sizes& s, bool normalize, bool temperature,
                         const std::string& order = "qkv", bool oracle = true) {
  const int64_t width = s.heads * s.dim;
  GradientCase op{.name = "channel_attention_" + name,
                  .inputs = {random_tensor({s.batch, s.tokens, 3 * width}, 1), random_tensor({s.heads}, 2)}};
  if (!temperature) op.inputs.pop_back();
  const auto at = [=](char part) { return static_cast<int64_t>(order.find(part)) * width; };
  // Scores of unit size with and without norms.
  const float scale = normalize ? 1.5f : 0.3f;
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return channel_attention(ctx, {v[0], at('q')}, {v[0], at('k')}, {v[0], at('v')},
                             {.heads = s.heads,
                              .head_dim = s.dim,
                              .scale = scale,
                              .temperature = temperature ? v[1] : Var(),
                              .normalize = normalize});
  };
  if (!oracle) return op;
  op.plain = [=](const std::vector<Plain>& v) {
    const auto part = [&](char name_of_part) {
      const auto first = static_cast<size_t>(at(name_of_part));
      return plain::slice<double>(v[0], 2, first, first + static_cast<size_t>(width));
    };
    const Plain ones = xt::ones<double>({static_cast<size_t>(s.heads)});
    return plain::channel_attention<double>(part('q'), part('k'), part('v'), temperature ? v[1] : ones,
                                            static_cast<double>(scale), normalize);
  };
  op.terms = 512;
  return op;
}

/// Queries, keys and values of their own.
GradientCase separate_case() {
  GradientCase op{.name = "channel_attention_separate"};
  for (uint64_t i = 0; i < 3; ++i) op.inputs.push_back(random_tensor({2, 5, 6}, 10 + i));
  const ChannelAttentionOptions options{.heads = 2, .head_dim = 3, .scale = 0.4f};
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return channel_attention(ctx, {v[0]}, {v[1]}, {v[2]}, options);
  };
  op.plain = [](const std::vector<Plain>& v) {
    const Plain ones = xt::ones<double>({2});
    return plain::channel_attention<double>(v[0], v[1], v[2], ones, static_cast<double>(0.4f), false);
  };
  op.terms = 512;
  return op;
}

std::vector<GradientCase> cases() {
  return {
      packed_case("plain", {2, 7, 2, 3}, false, false),
      packed_case("davit_order", {1, 6, 3, 4}, false, false, "vqk"),
      packed_case("normalized", {2, 5, 2, 4}, true, false),
      packed_case("temperature", {2, 6, 3, 2}, false, true),
      packed_case("xcit", {2, 9, 2, 5}, true, true),
      packed_case("one_token", {2, 1, 1, 3}, false, true),  // with norms q and k would have no gradient but rounding
      packed_case("one_channel", {1, 4, 3, 1}, false, true),
      packed_case("large", {3, 197, 4, 48}, true, true, "qkv", false),
      packed_case("parts", {1, 3136, 3, 32}, false, false, "qkv", false),
      separate_case(),
  };
}

VITKIT_GRADIENT_TESTS(ChannelAttentionGradient, cases());

TEST(ChannelAttentionTest, ProbabilitiesAreRowsThatSumToOne) {
  Context ctx;
  const Tensor tokens = random_tensor({2, 2500, 24}, 3);
  const Tensor probs = channel_attention_probs(ctx, {tokens, 0}, {tokens, 8},
                                               {.heads = 2, .head_dim = 4, .scale = 2.0f, .normalize = true});
  ASSERT_EQ(probs.shape(), (Shape{2, 2, 4, 4}));
  for (int64_t row = 0; row < 16; ++row) {
    double sum = 0.0;
    for (int64_t i = 0; i < 4; ++i) sum += static_cast<double>(probs.f32()[row * 4 + i]);
    EXPECT_NEAR(sum, 1.0, 1e-6);
  }
}

TEST(ChannelAttentionTest, ChannelsOfZerosHaveNoDirection) {
  Context ctx;
  const Tensor zeros = Tensor::zeros({1, 4, 6});
  const Tensor y =
      channel_attention(ctx, {zeros, 0}, {zeros, 2}, {zeros, 4}, {.heads = 1, .head_dim = 2, .normalize = true})
          .value();
  for (const float value : y.span<float>()) EXPECT_EQ(value, 0.0f);
}

TEST(ChannelAttentionTest, WrongShapesAreRefused) {
  Context ctx;
  const Tensor tokens = Tensor::zeros({1, 4, 6});
  EXPECT_THROW(channel_attention(ctx, {tokens, 0}, {tokens, 2}, {tokens, 5}, {.heads = 1, .head_dim = 2}), Error);
  EXPECT_THROW(
      channel_attention(ctx, {tokens, 0}, {Tensor::zeros({1, 5, 6}), 2}, {tokens, 4}, {.heads = 1, .head_dim = 2}),
      Error);
  EXPECT_THROW(channel_attention(ctx, {tokens, 0}, {tokens, 2}, {tokens, 4},
                                 {.heads = 1, .head_dim = 2, .temperature = Tensor::zeros({2})}),
               Error);
}

}  // namespace
}  // namespace vit
