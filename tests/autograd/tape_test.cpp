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

TEST(Tape, AnOpRecordsOnlyWhatSomebodyWants) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Tensor x = Tensor::full({1, 4}, 1.0f);
  EXPECT_FALSE(softmax(ctx, x).requires_grad());
  EXPECT_EQ(tape.size(), 0u);
  EXPECT_TRUE(softmax(ctx, Var::leaf(x)).requires_grad());
  EXPECT_EQ(tape.size(), 1u);
}

TEST(Tape, AResultThatNobodyUsesGivesNoGradient) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var x = Var::leaf(Tensor::full({1}, 3.0f)), unused = Var::leaf(Tensor::full({1}, 5.0f));
  multiply(ctx, x, unused);
  tape.backward(scale(ctx, x, 2.0f));
  EXPECT_EQ(x.grad().f32()[0], 2.0f);
  EXPECT_FALSE(unused.grad().defined());
  EXPECT_EQ(tape.size(), 0u);
}

TEST(Tape, GradientsOfSeveralPassesAddUpUntilCleared) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var x = Var::leaf(Tensor::full({1}, 3.0f));
  for (int pass = 1; pass <= 3; ++pass) {
    tape.backward(scale(ctx, x, 2.0f));
    EXPECT_EQ(x.grad().f32()[0], 2.0f * static_cast<float>(pass));
  }
  x.clear_grad();
  tape.backward(scale(ctx, x, 2.0f));
  EXPECT_EQ(x.grad().f32()[0], 2.0f);
}

// y = a + b hands one tensor to both inputs. Whichever goes on collecting must not change the other's.
TEST(Tape, ASharedGradientIsNotChangedInPlace) {
  for (const bool a_goes_on : {true, false}) {
    Context ctx;
    Tape tape(ctx);
    ctx.tape = &tape;
    const Var a = Var::leaf(Tensor::full({2}, 1.0f)), b = Var::leaf(Tensor::full({2}, 1.0f));
    const Var early = scale(ctx, a_goes_on ? a : b, 10.0f);  // its gradient comes last
    const Var y = add(ctx, add(ctx, a, b), early);
    const Tensor d_y = Tensor::full({2}, 1.0f);
    tape.backward(y, d_y);
    EXPECT_EQ(a.grad().f32()[0], a_goes_on ? 11.0f : 1.0f);
    EXPECT_EQ(b.grad().f32()[0], a_goes_on ? 1.0f : 11.0f);
    EXPECT_EQ(d_y.f32()[0], 1.0f) << "the caller's gradient was changed";
  }
}

// A gradient that nobody else holds is added to where it is: no memory per use.
TEST(Tape, AGradientOfOnesOwnIsAddedToInPlace) {
  Tape tape;
  const Var x = Var::leaf(Tensor::full({2}, 1.0f));
  tape.accumulate(x, Tensor::full({2}, 1.0f));
  const void* memory = x.grad().raw();
  tape.accumulate(x, Tensor::full({2}, 2.0f));
  EXPECT_EQ(x.grad().raw(), memory);
  EXPECT_EQ(x.grad().f32()[1], 3.0f);
  const Tensor held = x.grad();  // now somebody holds it
  tape.accumulate(x, Tensor::full({2}, 4.0f));
  EXPECT_EQ(held.f32()[1], 3.0f);
  EXPECT_EQ(x.grad().f32()[1], 7.0f);
}

// reshape and slice_rows hand on views: the same memory under another shape is still shared.
TEST(Tape, ViewsCountAsShared) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var x = Var::leaf(Tensor::full({2, 3}, 1.0f)), z = Var::leaf(Tensor::full({6}, 1.0f));
  const Var early = scale(ctx, x, 5.0f);
  const Var flat = add(ctx, reshape(ctx, x, {6}), z);
  const Var y = add(ctx, flat, reshape(ctx, early, {6}));
  tape.backward(y, Tensor::full({6}, 1.0f));
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(x.grad().f32()[i], 6.0f);
    EXPECT_EQ(z.grad().f32()[i], 1.0f);
  }
}

TEST(Tape, AGradientOfAnotherShapeIsAnError) {
  Tape tape;
  const Var x = Var::leaf(Tensor::full({2}, 1.0f));
  EXPECT_THAT(test::failure([&] { tape.accumulate(x, Tensor::zeros({3})); }),
              testing::AllOf(testing::HasSubstr("[3]"), testing::HasSubstr("[2]")));
  EXPECT_NO_THROW(tape.accumulate(Var(x.value()), Tensor::zeros({3})));  // a constant ignores it
}

}  // namespace
}  // namespace vit
