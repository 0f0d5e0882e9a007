// Gradients of rotate_heads against its plain definition: packed columns, tokens in front that do not turn.
#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "vit/autograd/plain_rotary.h"
#include "vit/autograd/rotary.h"

namespace vit {
namespace {

using test::GradientCase;
using test::Plain;
using test::random_tensor;

struct Sizes {
  int64_t batch, tokens, turned, width, first, heads, dim;
};

GradientCase rotary(const std::string& name, const Sizes& s, bool oracle = true) {
  const Rotation rotation{random_tensor({s.turned, s.dim / 2}, 3), random_tensor({s.turned, s.dim / 2}, 4)};
  GradientCase op{.name = name, .inputs = {random_tensor({s.batch, s.tokens, s.width}, 1)}};
  // A copy, since without a tape the op works in place.
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return rotate_heads(ctx, {scale(ctx, v[0], 1.0f), s.first}, s.heads, s.dim, rotation);
  };
  if (oracle)
    op.plain = [=](const std::vector<Plain>& v) {
      return plain::rotate_heads<double>(v[0], static_cast<size_t>(s.first), static_cast<size_t>(s.heads),
                                         test::wide(rotation.sine), test::wide(rotation.cosine));
    };
  return op;
}

std::vector<GradientCase> cases() {
  return {rotary("one_pair", {1, 1, 1, 2, 0, 1, 2}), rotary("all_columns", {2, 6, 6, 12, 0, 3, 4}),
          rotary("packed_with_prefix", {2, 7, 5, 24, 5, 2, 6}), rotary("nothing_turns", {1, 3, 0, 4, 0, 1, 4}),
          rotary("large", {3, 130, 129, 96, 32, 4, 16}, false)};
}

VITKIT_GRADIENT_TESTS(RotaryGradient, cases());

TEST(Rotary, WorksInPlaceInInference) {
  Context ctx;
  const Var x = random_tensor({1, 2, 4}, 1);
  const Rotation rotation{random_tensor({2, 2}, 3), random_tensor({2, 2}, 4)};
  const Var y = rotate_heads(ctx, {x, 0}, 1, 4, rotation);
  EXPECT_EQ(y.value().f32(), x.value().f32());
}

TEST(Rotary, RefusesWhatDoesNotFit) {
  Context ctx;
  const Var x = Tensor::zeros({1, 2, 8});
  const auto angles = [](int64_t rows, int64_t pairs) {
    return Rotation{Tensor::zeros({rows, pairs}), Tensor::zeros({rows, pairs})};
  };
  using testing::HasSubstr;
  EXPECT_THAT(test::failure([&] { rotate_heads(ctx, {x, 0}, 1, 3, angles(2, 1)); }), HasSubstr("head_dim 3"));
  EXPECT_THAT(test::failure([&] { rotate_heads(ctx, {x, 4}, 2, 4, angles(2, 2)); }), HasSubstr("columns [4, 12)"));
  EXPECT_THAT(test::failure([&] { rotate_heads(ctx, {x, 0}, 2, 4, angles(3, 2)); }), HasSubstr("[3, 2]"));
}

}  // namespace
}  // namespace vit
