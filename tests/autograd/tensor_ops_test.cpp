// What finite differences do not show about the ops on tensors of any rank: shapes, refusals, ties, NaN, empty tensors,
// and that a product's bits depend on nothing but its factors.
#include "vit/autograd/tensor_ops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "vit/autograd/tape.h"

namespace vit {
namespace {

using test::failure;
using test::random_tensor;
using test::same_bits;
using testing::HasSubstr;

TEST(TensorOps, ShapesFollowNumPy) {
  Context ctx;
  const Tensor x = random_tensor({2, 3, 4}, 1), row = random_tensor({4}, 2), column = random_tensor({5, 1, 1, 1}, 3);
  EXPECT_EQ(add(ctx, x, row).shape(), (Shape{2, 3, 4}));
  EXPECT_EQ(multiply(ctx, row, x).shape(), (Shape{2, 3, 4}));
  EXPECT_EQ(subtract(ctx, x, column).shape(), (Shape{5, 2, 3, 4}));
  EXPECT_EQ(divide(ctx, Tensor::full({}, 1.0f), Tensor::full({}, 2.0f)).shape(), Shape{});
  EXPECT_EQ(matmul(ctx, random_tensor({5, 1, 2, 3}, 1), x).shape(), (Shape{5, 2, 2, 4}));
  EXPECT_EQ(sum(ctx, x, {}).shape(), Shape{});
  EXPECT_EQ(sum(ctx, x, {}, true).shape(), (Shape{1, 1, 1}));
  EXPECT_EQ(mean(ctx, x, {-1, 0}).shape(), Shape{3});
  EXPECT_EQ(amax(ctx, x, {1}, true).shape(), (Shape{2, 1, 4}));
  EXPECT_EQ(permute(ctx, x, {2, 0, 1}).shape(), (Shape{4, 2, 3}));
  EXPECT_EQ(concat(ctx, {x, x, x}, -2).shape(), (Shape{2, 9, 4}));
  EXPECT_EQ(slice(ctx, x, -1, 1, 1).shape(), (Shape{2, 3, 0}));
}

TEST(TensorOps, RefuseWhatDoesNotFit) {
  Context ctx;
  const Tensor x = random_tensor({2, 3, 4}, 1);
  const auto refused = [&](const auto& op) { return failure([&] { op(); }); };
  EXPECT_THAT(refused([&] { multiply(ctx, x, random_tensor({3}, 2)); }), HasSubstr("multiply: [2, 3, 4] and [3]"));
  EXPECT_THAT(refused([&] { divide(ctx, x, random_tensor({2, 2, 4}, 2)); }), HasSubstr("must be equal or 1"));
  EXPECT_THAT(refused([&] { matmul(ctx, x, x); }), HasSubstr("4 columns, 3 rows"));
  EXPECT_THAT(refused([&] {
                matmul(ctx, x, random_tensor({3, 5, 4}, 2), {.transpose_b = true});
              }),
              HasSubstr("matmul (axes before the last two): [2] and [3]"));
  EXPECT_THAT(refused([&] { matmul(ctx, x, random_tensor({4}, 2)); }), HasSubstr("expected matrices"));
  EXPECT_THAT(refused([&] { sum(ctx, x, {3}); }), HasSubstr("there is no axis 3 in [2, 3, 4]"));
  EXPECT_THAT(refused([&] { mean(ctx, x, {0, -3}); }), HasSubstr("named twice"));
  EXPECT_THAT(refused([&] { amax(ctx, Tensor::zeros({2, 0}), {1}); }), HasSubstr("nothing has no maximum"));
  EXPECT_THAT(refused([&] { softmax(ctx, x, -4); }), HasSubstr("softmax: there is no axis -4"));
  EXPECT_THAT(refused([&] { permute(ctx, x, {0, 1}); }), HasSubstr("2 axes are named for [2, 3, 4]"));
  EXPECT_THAT(refused([&] { permute(ctx, x, {0, 1, 1}); }), HasSubstr("axis 1 is named twice"));
  EXPECT_THAT(refused([&] { split_heads(ctx, {x, 1}, 2, 2); }), HasSubstr("[1, 5) are outside [2, 3, 4]"));
  EXPECT_THAT(refused([&] { merge_heads(ctx, x); }), HasSubstr("expected heads [B, H, N, D]"));
  EXPECT_THAT(refused([&] { concat(ctx, {}, 0); }), HasSubstr("there are no pieces"));
  EXPECT_THAT(refused([&] { concat(ctx, {x, random_tensor({2, 3, 5}, 2)}, 1); }), HasSubstr("differ beside axis 1"));
  EXPECT_THAT(refused([&] { concat(ctx, {x, random_tensor({2, 3}, 2)}, 1); }), HasSubstr("[2, 3, 4] and [2, 3]"));
  EXPECT_THAT(refused([&] { slice(ctx, x, 1, 2, 4); }), HasSubstr("slice: [2, 4) is outside axis 1"));
  EXPECT_THAT(refused([&] { gather_tokens(ctx, x, Tensor::from<int64_t>({0, 3}, {2})); }), HasSubstr("index 3"));
  EXPECT_THAT(refused([&] { gather_tokens(ctx, x, Tensor::from<int64_t>({-2}, {1})); }), HasSubstr("index -2"));
  EXPECT_THAT(refused([&] { gather_tokens(ctx, x, Tensor::from<int64_t>({0, 1, 2}, {3, 1})); }), HasSubstr("[2, M]"));
  EXPECT_THAT(refused([&] { gather_tokens(ctx, x, Tensor::zeros({2})); }), HasSubstr("must be i64"));
  EXPECT_THAT(refused([&] { gather_tokens(ctx, x, Tensor::from<int64_t>({0}, {1}), random_tensor({3}, 1)); }),
              HasSubstr("filler must be [4]"));
  EXPECT_THAT(refused([&] {
                scatter_tokens(ctx, x, Tensor::from<int64_t>({0, 1}, {2}), 5);
              }),
              HasSubstr("2 places are named"));
}

TEST(TensorOps, EmptyTensorsAreLegal) {
  Context ctx;
  const Tensor none = Tensor::zeros({0, 3, 4});
  EXPECT_EQ(add(ctx, none, random_tensor({4}, 1)).shape(), (Shape{0, 3, 4}));
  EXPECT_EQ(exp(ctx, none).shape(), (Shape{0, 3, 4}));
  EXPECT_EQ(permute(ctx, none, {2, 1, 0}).shape(), (Shape{4, 3, 0}));
  EXPECT_EQ(matmul(ctx, none, random_tensor({4, 5}, 1)).shape(), (Shape{0, 3, 5}));
  EXPECT_EQ(softmax(ctx, none, 1).shape(), (Shape{0, 3, 4}));
  EXPECT_EQ(split_heads(ctx, {none}, 2, 2).shape(), (Shape{0, 2, 3, 2}));
  EXPECT_EQ(gather_tokens(ctx, none, Tensor::from<int64_t>({0, 2}, {2})).shape(), (Shape{0, 2, 4}));
  const Tensor sums = sum(ctx, none, {0}).value();
  for (const float v : sums.span<float>()) EXPECT_EQ(v, 0.0f);
  // A sum over no terms: zeros, whichever side has to be packed or turned.
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      const Tensor a = Tensor::zeros(ta ? Shape{0, 3} : Shape{3, 0}), b = Tensor::zeros(tb ? Shape{5, 0} : Shape{0, 5});
      const Tensor c = matmul(ctx, a, b, {.transpose_a = ta, .transpose_b = tb, .scale = 2.0f}).value();
      ASSERT_EQ(c.shape(), (Shape{3, 5}));
      for (const float v : c.span<float>()) EXPECT_EQ(v, 0.0f);
    }
}

TEST(TensorOps, EqualMaximaShareTheGradient) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var x = Var::leaf(Tensor::from<float>({1, 5, 5, 2, 3, 3}, {2, 3}));
  tape.backward(amax(ctx, x, {1}), Tensor::from<float>({1, 6}, {2}));
  const std::vector<float> want = {0, 0.5f, 0.5f, 0, 3, 3};
  for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(x.grad().f32()[i], want[i]);
}

TEST(TensorOps, ANanReachesItsOwnResultsOnly) {
  Context ctx;
  Tensor x = random_tensor({3, 40}, 1);
  x.f32()[47] = NAN;
  for (const Tensor& y : {amax(ctx, x, {1}).value(), sum(ctx, x, {1}).value(), mean(ctx, x, {1}).value()})
    for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(std::isnan(y.f32()[i]), i == 1);
  const Tensor product = matmul(ctx, x, random_tensor({40, 20}, 2)).value();
  for (int64_t i = 0; i < product.numel(); ++i) EXPECT_EQ(std::isnan(product.f32()[i]), i / 20 == 1);
}

TEST(Matmul, HasTheBitsOfLinear) {
  Context ctx;
  const Tensor x = random_tensor({2, 50, 70}, 1), weight = random_tensor({90, 70}, 2);
  const Tensor by_linear = linear(ctx, x, Weight{weight, PackedWeight()}, {}).value();
  EXPECT_TRUE(same_bits(matmul(ctx, x, weight, {.transpose_b = true}).value(), by_linear));
}

/// Product i of a batch, computed by itself, has the bits that it has in the batch, whichever way the batch was cut.
TEST(Matmul, ProductsDoNotDependOnTheirBatch) {
  Context ctx;
  for (const auto& [m, n, k] : {std::tuple<int64_t, int64_t, int64_t>{50, 70, 33}, {7, 600, 9}, {300, 65, 500}}) {
    for (const int flags : {0, 1, 2, 3}) {
      const MatmulOptions options{.transpose_a = (flags & 1) != 0, .transpose_b = (flags & 2) != 0, .scale = 0.3f};
      const Tensor a = random_tensor(options.transpose_a ? Shape{9, k, m} : Shape{9, m, k}, 1);
      const Tensor b = random_tensor(options.transpose_b ? Shape{9, n, k} : Shape{9, k, n}, 2);
      const Tensor all = matmul(ctx, a, b, options).value();
      for (const int64_t i : {0, 4, 8}) {
        const Tensor one = matmul(ctx, a.slice(i, i + 1), b.slice(i, i + 1), options).value();
        EXPECT_TRUE(same_bits(one, all.slice(i, i + 1))) << "product " << i << ", flags " << flags;
      }
    }
  }
}

}  // namespace
}  // namespace vit
