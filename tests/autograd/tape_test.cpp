#include "vit/autograd/tape.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "vit/autograd/ops.h"

namespace vit {
namespace {

/// y = a * b elementwise, with its gradient: enough of an op to drive the tape.
Var times(Tape& tape, const Var& a, const Var& b) {
  Tensor y = Tensor::empty(a.shape());
  for (int64_t i = 0; i < y.numel(); ++i) y.f32()[i] = a.value().f32()[i] * b.value().f32()[i];
  return tape.record(y, {a, b}, [a, b](Tape& t, const Tensor& d_y) {
    Tensor d_a = Tensor::empty(a.shape()), d_b = Tensor::empty(b.shape());
    for (int64_t i = 0; i < d_y.numel(); ++i) {
      d_a.f32()[i] = d_y.f32()[i] * b.value().f32()[i];
      d_b.f32()[i] = d_y.f32()[i] * a.value().f32()[i];
    }
    t.accumulate(a, d_a);
    t.accumulate(b, d_b);
  });
}

TEST(Tape, GradientsOfSharedInputsAddUp) {
  Tape tape;
  const Var x = Var::leaf(Tensor::full({1}, 3.0f)), c = Tensor::full({1}, 2.0f);
  const Var y = times(tape, times(tape, x, x), times(tape, x, c));  // 2 x^3
  EXPECT_EQ(tape.size(), 3u);
  tape.backward(y);
  EXPECT_FLOAT_EQ(x.grad().f32()[0], 54.0f);  // 6 x^2
  EXPECT_EQ(tape.size(), 0u);
}

TEST(Tape, ConstantsAreNotRecorded) {
  Tape tape;
  const Var y = times(tape, Tensor::full({1}, 3.0f), Tensor::full({1}, 2.0f));
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(tape.size(), 0u);
  EXPECT_THAT(test::failure([&] { tape.backward(y); }), testing::HasSubstr("depends on nothing"));
  EXPECT_THAT(test::failure([&] { y.grad(); }), testing::HasSubstr("constant"));
}

TEST(Tape, ALossIsOneNumber) {
  Tape tape;
  const Var x = Var::leaf(Tensor::full({2}, 3.0f));
  EXPECT_THAT(test::failure([&] { tape.backward(times(tape, x, x)); }), testing::HasSubstr("one number"));
}

TEST(Tape, OpsWithoutAGradientRefuseToRecord) {
  Context ctx;
  Tape tape;
  ctx.tape = &tape;
  const Var x = Var::leaf(Tensor::full({1, 4}, 1.0f));
  EXPECT_THAT(test::failure([&] { softmax(ctx, x); }), testing::HasSubstr("softmax: gradients are not available"));
  EXPECT_NO_THROW(softmax(ctx, x.value()));
}

}  // namespace
}  // namespace vit
