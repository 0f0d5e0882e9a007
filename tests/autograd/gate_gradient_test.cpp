#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "vit/autograd/gate_ops.h"

namespace vit {
namespace {

using test::GradientCase;
using test::Plain;
using test::random_tensor;

GradientCase gate_case(const std::string& name, const Shape& shape, bool residual, bool with_plain = true) {
  GradientCase op{.name = name,
                  .inputs = {random_tensor(shape, 1), random_tensor({shape[0], shape[2]}, 2), random_tensor(shape, 3)},
                  .run =
                      [residual](Context& ctx, const std::vector<Var>& v) {
                        return residual ? gate_channels(ctx, v[0], v[1], v[2]) : gate_channels(ctx, v[0], v[1]);
                      },
                  .terms = shape[1]};
  if (!residual) op.inputs.pop_back();
  if (with_plain)
    op.plain = [residual](const std::vector<Plain>& v) {
      const Plain y = v[0] * xt::view(v[1], xt::all(), xt::newaxis(), xt::all());
      return residual ? Plain(v[2] + y) : y;
    };
  return op;
}

std::vector<GradientCase> cases() {
  return {gate_case("gate", {2, 5, 7}, false), gate_case("gate_residual", {3, 4, 19}, true),
          gate_case("gate_large", {3, 700, 65}, true, false), gate_case("gate_empty", {2, 0, 3}, true)};
}

VITKIT_GRADIENT_TESTS(GateGradientTest, cases());

TEST(GateChannels, RefusesShapesThatDoNotMatch) {
  Context ctx;
  const Tensor x = Tensor::zeros({2, 5, 7});
  EXPECT_THAT(test::failure([&] { gate_channels(ctx, x, Tensor::zeros({2, 5})); }), testing::HasSubstr("[2, 5, 7]"));
  EXPECT_THAT(test::failure([&] {
                gate_channels(ctx, x, Tensor::zeros({2, 7}), Tensor::zeros({2, 5}));
              }),
              testing::HasSubstr("residual"));
}

}  // namespace
}  // namespace vit
