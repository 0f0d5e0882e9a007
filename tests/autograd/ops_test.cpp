// Every op against its plain definition in xtensor, at ragged sizes, and with the same bits on 1, 2 and 8 threads.
#include "vit/autograd/ops.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/errors.h"
#include "tests/support/tolerance.h"
#include "vit/autograd/plain.h"
#include "vit/core/parallel.h"
#include "vit/core/rng.h"
#include "vit/core/xt.h"

namespace vit {
namespace {

using Plain = plain::Array<double>;

Tensor random(const Shape& shape, uint64_t stream, float std = 1.0f) {
  Tensor tensor = Tensor::empty(shape);
  Rng rng(1, stream);
  fill_normal(tensor, rng, std);
  return tensor;
}

/// A copy in double for the plain definitions.
Plain wide(const Tensor& tensor) { return Plain(xt::cast<double>(xt_view<float>(tensor))); }

/// One op at one size: what it computes, and what it should.
struct OpCase {
  std::string name;
  std::function<Tensor(Context&)> run;
  std::function<Plain()> expected;
  double tolerance = 0.0;
};

void PrintTo(const OpCase& op, std::ostream* out) { *out << op.name; }

std::string name_of(const testing::TestParamInfo<OpCase>& info) { return info.param.name; }

/// A sum of k products of standard normal values.
double square_tolerance(int64_t k) {
  const double norm = std::sqrt(static_cast<double>(k));
  return test::dot_tolerance(k, norm, norm);
}

OpCase linear_case(int64_t m, int64_t n, int64_t k, Activation activation, bool fused, bool packed) {
  const Tensor x = random({m, k}, 1), weight = random({n, k}, 2, 1.0f / std::sqrt(static_cast<float>(k)));
  const Tensor bias = random({n}, 3), gamma = random({n}, 4), residual = random({m, n}, 5);
  const Plain zero = 0.0, one = 1.0;
  OpCase result;
  result.name = str("linear_", m, "x", n, "x", k, fused ? "_fused" : "", packed ? "_packed" : "");
  result.run = [=](Context& ctx) {
    const Var plain = packed ? Var() : Var(weight);
    const PackedWeight panels = packed ? PackedWeight::pack(weight) : PackedWeight();
    LinearOptions options{.activation = activation};
    if (fused) {
      options.gamma = gamma;
      options.residual = residual;
    }
    return linear(ctx, x, {plain, panels}, bias, options).value();
  };
  result.expected = [=] {
    return plain::linear<double>(wide(x), wide(weight), wide(bias), activation, fused ? wide(gamma) : one,
                                 fused ? wide(residual) : zero);
  };
  result.tolerance = 4.0 * test::dot_tolerance(k, std::sqrt(static_cast<double>(k)), 1.0);  // gamma stays below 4
  return result;
}

OpCase norm_case(int64_t rows, int64_t cols, bool rms) {
  const Tensor x = random({rows, cols}, 6), weight = random({cols}, 7), bias = random({cols}, 8);
  return {str(rms ? "rms_norm_" : "layer_norm_", rows, "x", cols),
          [=](Context& ctx) {
            return (rms ? rms_norm(ctx, x, weight, 1e-6f) : layer_norm(ctx, x, weight, bias, 1e-6f)).value();
          },
          [=] {
            return rms ? plain::rms_norm<double>(wide(x), wide(weight), 1e-6)
                       : plain::layer_norm<double>(wide(x), wide(weight), wide(bias), 1e-6);
          },
          // weights stay below 4, normalised values below 8
          test::rounding_tolerance(cols, 32.0)};
}

struct AttentionSizes {
  int64_t batch, queries, keys, heads, dim;
  bool bias = false;
};

/// Columns of one head as a matrix.
Plain head(const Tensor& tokens, int64_t b, int64_t first, int64_t dim) {
  const Plain all = wide(tokens);
  return xt::view(all, b, xt::all(), xt::range(first, first + dim));
}

OpCase attention_case(const AttentionSizes& s) {
  const int64_t width = s.heads * s.dim;
  // Self-attention reads one packed tensor, as models do; otherwise the queries have their own.
  const bool self = s.queries == s.keys;
  const Tensor memory = random({s.batch, s.keys, 3 * width}, 9);
  const Tensor asking = self ? memory : random({s.batch, s.queries, width}, 10);
  const Tensor bias = s.bias ? random({s.heads, s.queries, s.keys}, 11) : Tensor();
  const float scale = 1.0f / std::sqrt(static_cast<float>(s.dim));
  OpCase result;
  result.name =
      str("attention_", s.batch, "x", s.queries, "x", s.keys, "x", s.heads, "x", s.dim, s.bias ? "_bias" : "");
  result.run = [=](Context& ctx) {
    return attention(ctx, {asking, 0}, {memory, width}, {memory, 2 * width}, {s.heads, s.dim, scale, bias}).value();
  };
  result.expected = [=] {
    Plain out = xt::zeros<double>({s.batch, s.queries, width});
    for (int64_t b = 0; b < s.batch; ++b) {
      for (int64_t h = 0; h < s.heads; ++h) {
        const Plain added = s.bias ? Plain(xt::view(wide(bias), h)) : Plain(0.0);
        xt::view(out, b, xt::all(), xt::range(h * s.dim, (h + 1) * s.dim)) =
            plain::attention<double>(head(asking, b, h * s.dim, s.dim), head(memory, b, width + h * s.dim, s.dim),
                                     head(memory, b, 2 * width + h * s.dim, s.dim), added, static_cast<double>(scale));
      }
    }
    return out;
  };
  // The error of a score of D terms, through the exponential, scales values below 5; then the sum over the keys.
  result.tolerance = 5.0 * test::dot_tolerance(s.dim, std::sqrt(static_cast<double>(s.dim)), 1.0) +
                     test::rounding_tolerance(s.keys, 5.0);
  return result;
}

OpCase patch_case(int64_t batch, int64_t channels, int64_t height, int64_t width, int64_t patch, int64_t dim) {
  const Tensor image = random({batch, channels, height, width}, 12), bias = random({dim}, 14);
  const Tensor weight = random({dim, channels, patch, patch}, 13);
  const auto packed = std::make_shared<PackedWeight>(PackedWeight::pack(weight));
  return {str("patch_embed_", batch, "x", channels, "x", height, "x", width, "_p", patch),
          [=](Context& ctx) {
            return patch_embed(ctx, image, {Var(), *packed}, bias, patch, patch).value();
          },
          [=] {
            // The definition is the strided convolution; the map has its channels last.
            const size_t grid = static_cast<size_t>((height / patch) * (width / patch));
            Plain out = xt::zeros<double>({static_cast<size_t>(batch), grid, static_cast<size_t>(dim)});
            const Plain taps = xt::transpose(wide(weight), {0, 2, 3, 1});
            for (int64_t b = 0; b < batch; ++b) {
              const Plain map = xt::transpose(Plain(xt::view(wide(image), b)), {1, 2, 0});
              Plain tokens = plain::conv2d<double>(map, taps, wide(bias), static_cast<size_t>(patch), 0, 1);
              xt::view(out, b) = plain::reshaped<double>(tokens, {grid, static_cast<size_t>(dim)});
            }
            return out;
          },
          square_tolerance(channels * patch * patch)};
}

OpCase conv_case(const Conv2dOptions& options, int64_t channels, int64_t outputs) {
  const Tensor x = random({2, 9, 11, channels}, 15), bias = random({outputs}, 17);
  const Tensor weight = random({outputs, options.kernel_h, options.kernel_w, channels}, 16);
  const auto packed = std::make_shared<PackedWeight>(PackedWeight::pack(weight));
  return {str("conv2d_", options.kernel_h, "x", options.kernel_w, "_s", options.stride, "_p", options.padding, "_d",
              options.dilation),
          [=](Context& ctx) {
            return conv2d(ctx, x, {Var(), *packed}, bias, options).value();
          },
          [=] {
            std::vector<Plain> maps;
            for (int b = 0; b < 2; ++b)
              maps.push_back(plain::conv2d<double>(
                  Plain(xt::view(wide(x), b)), wide(weight), wide(bias), static_cast<size_t>(options.stride),
                  static_cast<size_t>(options.padding), static_cast<size_t>(options.dilation)));
            return Plain(xt::stack(xt::xtuple(maps[0], maps[1])));
          },
          square_tolerance(options.kernel_h * options.kernel_w * channels)};
}

std::vector<OpCase> all_cases() {
  std::vector<OpCase> cases;
  for (bool fused : {false, true}) {
    for (bool packed : {false, true}) {
      cases.push_back(linear_case(1, 1, 1, Activation::none, fused, packed));
      cases.push_back(linear_case(7, 65, 33, Activation::gelu, fused, packed));
      cases.push_back(linear_case(197, 130, 96, Activation::quick_gelu, fused, packed));
    }
  }
  for (bool rms : {false, true})
    for (int64_t cols : {1, 17, 192}) cases.push_back(norm_case(37, cols, rms));
  for (const AttentionSizes& sizes :
       {AttentionSizes{1, 1, 1, 1, 8}, AttentionSizes{2, 37, 37, 3, 16}, AttentionSizes{1, 197, 197, 3, 64},
        AttentionSizes{2, 5, 70, 2, 24}, AttentionSizes{2, 33, 33, 4, 12, true}, AttentionSizes{1, 600, 600, 1, 32}})
    cases.push_back(attention_case(sizes));
  cases.push_back(patch_case(2, 3, 32, 48, 16, 40));
  cases.push_back(patch_case(1, 3, 37, 30, 7, 65));  // a rest that fills no patch
  cases.push_back(conv_case({.kernel_h = 3, .kernel_w = 3, .padding = 1}, 5, 19));
  cases.push_back(conv_case({.kernel_h = 3, .kernel_w = 5, .stride = 2, .padding = 2}, 8, 70));
  cases.push_back(conv_case({.kernel_h = 3, .kernel_w = 3, .padding = 2, .dilation = 2}, 3, 4));
  return cases;
}

class OpTest : public testing::TestWithParam<OpCase> {};

TEST_P(OpTest, EqualsItsPlainDefinition) {
  Context ctx;
  const Tensor got = GetParam().run(ctx);
  const Plain want = GetParam().expected();
  ASSERT_EQ(static_cast<size_t>(got.numel()), want.size());
  for (int64_t i = 0; i < got.numel(); ++i)
    ASSERT_NEAR(got.f32()[i], want.flat(static_cast<size_t>(i)), GetParam().tolerance) << "at " << i;
}

TEST_P(OpTest, SameBitsOnAnyNumberOfThreads) {
  set_num_threads(1);
  Context ctx;
  const Tensor one = GetParam().run(ctx).clone();
  for (int threads : {2, 8}) {
    set_num_threads(threads);
    const Tensor many = GetParam().run(ctx);
    EXPECT_EQ(std::memcmp(one.raw(), many.raw(), static_cast<size_t>(one.nbytes())), 0) << threads << " threads";
  }
  set_num_threads(0);
}

INSTANTIATE_TEST_SUITE_P(All, OpTest, testing::ValuesIn(all_cases()), name_of);

TEST(AttentionProbs, AreTheSoftmaxOfTheScores) {
  Context ctx;
  const Tensor qkv = random({2, 19, 3 * 24}, 20);
  const Tensor probs = attention_probs(ctx, {qkv, 0}, {qkv, 24}, {.heads = 3, .head_dim = 8, .scale = 0.5f});
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t h = 0; h < 3; ++h) {
      const Plain want =
          plain::attention_probs<double>(head(qkv, b, h * 8, 8), head(qkv, b, 24 + h * 8, 8), Plain(0.0), 0.5);
      for (size_t i = 0; i < want.size(); ++i)
        ASSERT_NEAR(probs.f32()[(b * 3 + h) * 19 * 19 + static_cast<int64_t>(i)], want.flat(i), 1e-6);
    }
  }
}

TEST(Attention, MaskedQueriesGiveZerosAndMaskedKeysDoNotCount) {
  Context ctx;
  const Tensor qkv = random({1, 6, 3 * 8}, 21);
  Tensor bias = Tensor::zeros({1, 6, 6});
  const float infinity = std::numeric_limits<float>::infinity();
  for (int64_t j = 0; j < 6; ++j) bias.f32()[2 * 6 + j] = -infinity;  // query 2 sees nothing
  for (int64_t j = 1; j < 6; ++j) bias.f32()[4 * 6 + j] = -infinity;  // query 4 sees key 0 only
  const Tensor y =
      attention(ctx, {qkv, 0}, {qkv, 8}, {qkv, 16}, {.heads = 1, .head_dim = 8, .scale = 1, .bias = bias}).value();
  for (int64_t d = 0; d < 8; ++d) {
    EXPECT_EQ(y.f32()[2 * 8 + d], 0.0f);
    EXPECT_FLOAT_EQ(y.f32()[4 * 8 + d], qkv.f32()[16 + d]);
  }
}

TEST(HeadNorm, NormalisesOnlyItsColumns) {
  Context ctx;
  const Tensor qkv = random({2, 5, 3 * 12}, 22), before = qkv.clone(), weight = random({6}, 23), bias = random({6}, 24);
  head_norm(ctx, {qkv, 12}, 2, 6, weight, bias, 1e-6f, false);
  for (int64_t row = 0; row < 10; ++row) {
    for (int64_t h = 0; h < 2; ++h) {
      Plain x = xt::zeros<double>({1, 6});
      for (size_t d = 0; d < 6; ++d) x(0, d) = before.f32()[row * 36 + 12 + h * 6 + static_cast<int64_t>(d)];
      const Plain want = plain::layer_norm<double>(x, wide(weight), wide(bias), 1e-6);
      for (size_t d = 0; d < 6; ++d)
        EXPECT_NEAR(qkv.f32()[row * 36 + 12 + h * 6 + static_cast<int64_t>(d)], want(0, d), 1e-5);
    }
    EXPECT_EQ(std::memcmp(qkv.f32() + row * 36, before.f32() + row * 36, 12 * sizeof(float)), 0);
    EXPECT_EQ(std::memcmp(qkv.f32() + row * 36 + 24, before.f32() + row * 36 + 24, 12 * sizeof(float)), 0);
  }
}

TEST(Activate, EqualsItsDefinitionForEveryKind) {
  Context ctx;
  const Tensor x = random({5, 33}, 50, 2.0f);
  for (Activation kind : {Activation::none, Activation::relu, Activation::gelu, Activation::gelu_tanh,
                          Activation::quick_gelu, Activation::silu, Activation::sigmoid, Activation::tanh}) {
    const Tensor y = activate(ctx, x, kind).value();
    const Plain want = plain::activate<double>(wide(x), kind);
    for (int64_t i = 0; i < y.numel(); ++i) EXPECT_NEAR(y.f32()[i], want.flat(static_cast<size_t>(i)), 2e-6);
  }
}

TEST(GatedActivation, GatesTheSecondHalfWithTheFirst) {
  Context ctx;
  const Tensor x = random({3, 2 * 7}, 25);
  const Tensor y = gated_activation(ctx, x, Activation::silu).value();
  const Plain gates = plain::activate<double>(wide(x), Activation::silu);
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 7; ++j)
      EXPECT_NEAR(y.f32()[i * 7 + j], gates(i, j) * static_cast<double>(x.f32()[i * 14 + 7 + j]), 1e-6);
  EXPECT_THAT(test::failure([&] {
                gated_activation(ctx, random({3, 5}, 26), Activation::silu);
              }),
              testing::HasSubstr("gated_activation"));
}

TEST(Softmax, RowsSumToOne) {
  Context ctx;
  const Tensor x = random({11, 37}, 27, 5.0f);
  const Tensor y = softmax(ctx, x).value();
  const Plain want = plain::softmax<double>(wide(x));
  for (int64_t i = 0; i < y.numel(); ++i) EXPECT_NEAR(y.f32()[i], want.flat(static_cast<size_t>(i)), 1e-6);
}

TEST(Add, BroadcastsOverTheBatch) {
  Context ctx;
  const Tensor a = random({3, 4, 5}, 28), b = random({1, 4, 5}, 29);
  const Tensor y = add(ctx, a, b).value();
  for (int64_t i = 0; i < y.numel(); ++i) EXPECT_EQ(y.f32()[i], a.f32()[i] + b.f32()[i % 20]);
  EXPECT_THAT(test::failure([&] { add(ctx, a, random({2, 4, 5}, 30)); }), testing::HasSubstr("[2, 4, 5]"));
}

TEST(Tokens, JoinSliceSelectAndReduce) {
  Context ctx;
  const Tensor prefix = random({1, 2, 4}, 31), x = random({3, 5, 4}, 32), pos = random({1, 5, 4}, 33);
  const Tensor joined = join_tokens(ctx, prefix, x, pos).value();
  EXPECT_EQ(joined.shape(), (Shape{3, 7, 4}));
  for (int64_t b = 0; b < 3; ++b) {
    for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(joined.f32()[b * 28 + i], prefix.f32()[i]);
    for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(joined.f32()[b * 28 + 8 + i], x.f32()[b * 20 + i] + pos.f32()[i]);
  }
  const Tensor token = select_token(ctx, joined, 1).value();
  EXPECT_EQ(token.shape(), (Shape{3, 4}));
  EXPECT_EQ(std::memcmp(token.f32() + 4, prefix.f32() + 4, 4 * sizeof(float)), 0);

  const Tensor mean = reduce_tokens(ctx, x, 2, Reduction::mean).value();
  const Tensor largest = reduce_tokens(ctx, x, 2, Reduction::max).value();
  const Plain patches = xt::view(wide(x), xt::all(), xt::range(2, 5));
  const Plain want_mean = xt::mean(patches, {1}), want_max = xt::amax(patches, {1});
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_NEAR(mean.f32()[i], want_mean.flat(i), 1e-6);
    EXPECT_EQ(largest.f32()[i], static_cast<float>(want_max.flat(i)));
  }
}

TEST(Ops, ErrorsNameTheOpAndBothShapes) {
  Context ctx;
  const Var weight = random({6, 4}, 40);
  const std::string message = test::failure([&] { linear(ctx, random({2, 5}, 41), {weight, PackedWeight()}, {}); });
  EXPECT_THAT(message,
              testing::AllOf(testing::HasSubstr("linear"), testing::HasSubstr("[2, 5]"), testing::HasSubstr("[6, 4]")));
  EXPECT_THAT(test::failure([&] {
                layer_norm(ctx, random({2, 5}, 42), random({4}, 43), {}, 1e-6f);
              }),
              testing::AllOf(testing::HasSubstr("layer_norm"), testing::HasSubstr("[5]"), testing::HasSubstr("[4]")));
  EXPECT_THAT(test::failure([&] {
                slice_tokens(ctx, random({1, 3, 2}, 44), 2, 5);
              }),
              testing::HasSubstr("slice_tokens"));
}

}  // namespace
}  // namespace vit
