// The losses of detectors and their gradients against finite differences of their plain definitions.
#include "detection/box_losses.h"

#include <gtest/gtest.h>

#include <cmath>

#include "detection/plain_box_losses.h"
#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "vit/autograd/tape.h"

namespace detection {
namespace {

using vit::Context;
using vit::Tensor;
using vit::Var;
using vit::test::GradientCase;
using vit::test::Plain;
using vit::test::random_tensor;
using vit::test::wide;

constexpr int64_t kRows = 9, kClasses = 5;
constexpr double kDivisor = 4.0;

/// Boxes whose centres and sizes lie in (0, 1), as a sigmoid makes them.
Tensor boxes(int64_t rows, uint64_t stream) {
  Tensor made = random_tensor({rows, 4}, stream);
  for (float& value : made.span<float>()) value = 1.0f / (1.0f + std::exp(-value));
  return made;
}

BoxPairs pairs() { return {.rows = {4, 0, 7, 8}, .targets = boxes(4, 11)}; }
const std::vector<size_t> kPlainRows = {4, 0, 7, 8};

Tensor labels() { return Tensor::from<int64_t>({-1, 3, 0, -1, 4, 2, -1, -1, 3}, {kRows}); }
Tensor quality() { return Tensor::from<float>({0, 0.8f, 0.1f, 0, 1.0f, 0, 0, 0, 0.55f}, {kRows}); }

Plain one_hot() {
  Plain y = xt::zeros<double>({size_t{kRows}, size_t{kClasses}});
  for (size_t r = 0; r < kRows; ++r)
    if (const int64_t label = labels().data<int64_t>()[r]; label >= 0) y(r, static_cast<size_t>(label)) = 1.0;
  return y;
}

GradientCase box_case(const std::string& name, bool giou, const Tensor& predicted) {
  GradientCase op{.name = name, .inputs = {predicted}};
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return giou ? box_giou_loss(ctx, v[0], pairs(), kDivisor) : box_l1_loss(ctx, v[0], pairs(), kDivisor);
  };
  op.plain = [=](const std::vector<Plain>& v) {
    return giou ? plain::box_giou_loss<double>(v[0], kPlainRows, wide(pairs().targets), kDivisor)
                : plain::box_l1_loss<double>(v[0], kPlainRows, wide(pairs().targets), kDivisor);
  };
  return op;
}

GradientCase focal_case(const std::string& name, const FocalOptions& options) {
  GradientCase op{.name = "focal_" + name, .inputs = {random_tensor({kRows, kClasses}, 21, 2.0f)}};
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return sigmoid_focal_loss(ctx, v[0], labels(), options, kDivisor);
  };
  op.plain = [=](const std::vector<Plain>& v) {
    return plain::sigmoid_focal_loss<double>(v[0], one_hot(), options.alpha, options.gamma, kDivisor);
  };
  return op;
}

GradientCase varifocal_case(const std::string& name, const FocalOptions& options) {
  const Tensor logits = random_tensor({kRows, kClasses}, 22, 2.0f);
  GradientCase op{.name = "varifocal_" + name, .inputs = {logits}};
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return varifocal_loss(ctx, v[0], labels(), quality(), options, kDivisor);
  };
  // The weights are those of the unmoved logits.
  const Plain x = wide(logits), p = 1 / (1 + xt::exp(-x));
  Plain score = one_hot();
  for (size_t r = 0; r < kRows; ++r)
    for (size_t k = 0; k < kClasses; ++k) score(r, k) *= static_cast<double>(quality().f32()[r]);
  const Plain weights = options.alpha * xt::pow(p, options.gamma) * (1 - one_hot()) + score;
  op.plain = [=](const std::vector<Plain>& v) { return plain::varifocal_loss<double>(v[0], score, weights, kDivisor); };
  return op;
}

std::vector<GradientCase> cases() {
  return {
      box_case("l1", false, boxes(kRows, 12)),
      box_case("giou", true, boxes(kRows, 12)),
      box_case("giou_others", true, boxes(kRows, 13)),
      focal_case("plain", {}),
      focal_case("steep", {.alpha = 0.75, .gamma = 3.5}),
      focal_case("unweighted", {.alpha = -1.0, .gamma = 1.0}),
      varifocal_case("plain", {.alpha = 0.75}),
      varifocal_case("steep", {.alpha = 0.5, .gamma = 1.5}),
  };
}

VITKIT_GRADIENT_TESTS(BoxLosses, cases());

/// Loss and gradient for one predicted box and one target.
std::pair<float, std::vector<float>> giou_of(const std::vector<float>& box, const std::vector<float>& target) {
  Context ctx;
  vit::Tape tape(ctx);
  ctx.tape = &tape;
  const Var predicted = Var::leaf(Tensor::from(box, {1, 4}));
  const Var loss = box_giou_loss(ctx, predicted, {.rows = {0}, .targets = Tensor::from(target, {1, 4})}, 1.0);
  tape.backward(loss);
  const std::span<float> grad = predicted.grad().span<float>();
  return {loss.value().f32()[0], {grad.begin(), grad.end()}};
}

TEST(BoxGiou, EqualBoxesHaveNoLossAndSymmetricSlopes) {
  const auto [loss, slope] = giou_of({0.5f, 0.5f, 0.25f, 0.5f}, {0.5f, 0.5f, 0.25f, 0.5f});
  EXPECT_EQ(loss, 0.0f);
  // Both edges of an axis share their maxima and minima alike: the centre has no slope. Growing and shrinking cost the
  // same, and half of each is taken.
  for (const float value : slope) EXPECT_NEAR(value, 0.0f, 1e-6f);
}

TEST(BoxGiou, FarBoxesAreDrawnTogether) {
  const auto [loss, slope] = giou_of({0.2f, 0.5f, 0.1f, 0.1f}, {0.8f, 0.5f, 0.1f, 0.1f});
  EXPECT_GT(loss, 1.0f);
  EXPECT_LT(loss, 2.0f);
  EXPECT_LT(slope[0], 0.0f);  // to the right
}

TEST(BoxGiou, BoxesWithoutAreaStayFinite) {
  for (const std::vector<float>& box : {std::vector<float>{0.5f, 0.5f, 0.0f, 0.0f}, {0.2f, 0.2f, 0.0f, 0.4f}}) {
    const auto [loss, slope] = giou_of(box, {0.5f, 0.5f, 0.0f, 0.0f});
    EXPECT_TRUE(std::isfinite(loss));
    for (const float value : slope) EXPECT_TRUE(std::isfinite(value));
  }
}

TEST(BoxLosses, NoPairsHaveNoLossAndNoGradient) {
  for (const bool giou : {false, true}) {
    Context ctx;
    vit::Tape tape(ctx);
    ctx.tape = &tape;
    const Var predicted = Var::leaf(boxes(3, 14));
    const Var loss = giou ? box_giou_loss(ctx, predicted, {}, 1.0) : box_l1_loss(ctx, predicted, {}, 1.0);
    EXPECT_EQ(loss.value().f32()[0], 0.0f);
    tape.backward(loss);
    for (const float value : predicted.grad().span<float>()) EXPECT_EQ(value, 0.0f);
  }
}

TEST(ClassLosses, HugeLogitsStayFinite) {
  Tensor logits = Tensor::zeros({2, 2});
  logits.f32()[0] = 3e4f, logits.f32()[1] = -3e4f, logits.f32()[2] = -3e4f;
  const Tensor of = Tensor::from<int64_t>({1, -1}, {2});
  for (const bool focal : {true, false}) {
    GradientCase op{.name = "huge", .inputs = {logits}};
    op.run = [&](Context& ctx, const std::vector<Var>& v) {
      return focal ? sigmoid_focal_loss(ctx, v[0], of, {}, 1.0)
                   : varifocal_loss(ctx, v[0], of, Tensor::full({2}, 0.5f), {}, 1.0);
    };
    const vit::test::GradientRun run = vit::test::run_case(op);
    EXPECT_TRUE(std::isfinite(run.value.f32()[0]));
    for (const float value : run.gradients[0].span<float>()) EXPECT_TRUE(std::isfinite(value));
  }
}

TEST(BoxLosses, ErrorsNameTheLossAndTheShapes) {
  Context ctx;
  using vit::test::failure;
  const Tensor some = boxes(3, 15);
  EXPECT_THAT(failure([&] { box_l1_loss(ctx, some, {{3}, boxes(1, 1)}, 1.0); }), testing::HasSubstr("row 3"));
  EXPECT_THAT(failure([&] { box_giou_loss(ctx, some, {{0}, boxes(2, 1)}, 1.0); }), testing::HasSubstr("box_giou_loss"));
  EXPECT_THAT(failure([&] { box_l1_loss(ctx, random_tensor({3, 5}, 1), {}, 1.0); }), testing::HasSubstr("[3, 5]"));
  const Tensor logits = random_tensor({2, 3}, 1);
  EXPECT_THAT(failure([&] {
                sigmoid_focal_loss(ctx, logits, Tensor::from<int64_t>({0, 3}, {2}), {}, 1.0);
              }),
              testing::HasSubstr("label 3 is outside [-1, 3)"));
  EXPECT_THAT(failure([&] {
                varifocal_loss(ctx, logits, Tensor::from<int64_t>({0, 1}, {2}), Tensor::zeros({3}), {}, 1.0);
              }),
              testing::HasSubstr("qualities"));
}

}  // namespace
}  // namespace detection
