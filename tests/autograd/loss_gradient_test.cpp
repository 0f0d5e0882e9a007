// The losses and their gradients against finite differences of their plain definitions, in every form of the targets.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "vit/autograd/losses.h"
#include "vit/autograd/plain_loss.h"
#include "vit/autograd/tape.h"

namespace vit {
namespace {

using test::GradientCase;
using test::Plain;
using test::random_tensor;
using test::wide;

constexpr int64_t kBatch = 5, kClasses = 7;

Tensor labels() { return Tensor::from<int64_t>({3, 0, 6, 3, 1}, {kBatch}); }

Plain one_hot() {
  Plain y = xt::zeros<double>({size_t{kBatch}, size_t{kClasses}});
  for (size_t b = 0; b < kBatch; ++b) y(b, static_cast<size_t>(labels().data<int64_t>()[b])) = 1.0;
  return y;
}

/// Targets in [0, 1], each row a distribution, as mixup makes them.
Tensor distributions() {
  Tensor targets = random_tensor({kBatch, kClasses}, 2);
  for (int64_t b = 0; b < kBatch; ++b) {
    float sum = 0.0f;
    for (int64_t k = 0; k < kClasses; ++k) sum += std::abs(targets.f32()[b * kClasses + k]);
    for (int64_t k = 0; k < kClasses; ++k)
      targets.f32()[b * kClasses + k] = std::abs(targets.f32()[b * kClasses + k]) / sum;
  }
  return targets;
}

Tensor class_weights() { return Tensor::from<float>({0.5f, 1.0f, 2.0f, 0.25f, 1.5f, 3.0f, 0.75f}, {kClasses}); }

struct Form {
  bool soft = false, weighted = false;
  float smoothing = 0.0f;
  std::optional<float> threshold{};
  bool sum_classes = false;
};

GradientCase loss_case(const std::string& name) {
  return {.name = name, .inputs = {random_tensor({kBatch, kClasses}, 1, 2.0f)}};
}

GradientCase cross_entropy_case(const std::string& name, const Form& form) {
  GradientCase op = loss_case("cross_entropy_" + name);
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return cross_entropy(ctx, v[0], form.soft ? distributions() : labels(),
                         {form.smoothing, form.weighted ? class_weights() : Tensor()});
  };
  op.plain = [=](const std::vector<Plain>& v) {
    const Plain ones = xt::ones<double>({size_t{kClasses}});
    return plain::cross_entropy<double>(v[0], form.soft ? wide(distributions()) : one_hot(),
                                        form.weighted ? wide(class_weights()) : ones,
                                        static_cast<double>(form.smoothing), !form.soft);
  };
  return op;
}

GradientCase binary_case(const std::string& name, const Form& form) {
  GradientCase op = loss_case("binary_" + name);
  op.run = [=](Context& ctx, const std::vector<Var>& v) {
    return binary_cross_entropy(
        ctx, v[0], form.soft ? distributions() : labels(),
        {form.smoothing, form.threshold, form.sum_classes, form.weighted ? class_weights() : Tensor()});
  };
  op.plain = [=](const std::vector<Plain>& v) {
    const Plain ones = xt::ones<double>({size_t{kClasses}});
    const Plain targets =
        form.soft ? wide(distributions()) : plain::smoothed<double>(one_hot(), static_cast<double>(form.smoothing));
    const std::optional<double> threshold =
        form.threshold ? std::optional<double>(static_cast<double>(*form.threshold)) : std::nullopt;
    return plain::binary_cross_entropy<double>(v[0], targets, form.weighted ? wide(class_weights()) : ones, threshold,
                                               form.sum_classes);
  };
  return op;
}

std::vector<GradientCase> cases() {
  return {
      cross_entropy_case("labels", {}),
      cross_entropy_case("smoothing", {.smoothing = 0.1f}),
      cross_entropy_case("weights", {.weighted = true}),
      cross_entropy_case("weights_smoothing", {.weighted = true, .smoothing = 0.2f}),
      cross_entropy_case("soft", {.soft = true}),
      cross_entropy_case("soft_smoothing", {.soft = true, .smoothing = 0.1f}),
      cross_entropy_case("soft_weights", {.soft = true, .weighted = true}),
      binary_case("labels", {}),
      binary_case("smoothing", {.smoothing = 0.1f}),
      binary_case("weights", {.weighted = true}),
      binary_case("sum", {.sum_classes = true}),
      binary_case("soft", {.soft = true}),
      binary_case("soft_threshold", {.soft = true, .threshold = 0.2f}),
      binary_case("all", {.soft = true, .weighted = true, .threshold = 0.1f, .sum_classes = true}),
  };
}

VITKIT_GRADIENT_TESTS(LossGradient, cases());

TEST(Losses, HugeLogitsStayFinite) {
  Tensor logits = Tensor::zeros({2, 3});
  logits.f32()[0] = 3e4f, logits.f32()[4] = -3e4f;
  GradientCase op{.name = "huge", .inputs = {logits}};
  const Tensor targets = Tensor::from<int64_t>({1, 1}, {2});
  for (const bool binary : {false, true}) {
    op.run = [&](Context& ctx, const std::vector<Var>& v) {
      return binary ? binary_cross_entropy(ctx, v[0], targets) : cross_entropy(ctx, v[0], targets);
    };
    const test::GradientRun run = test::run_case(op);
    EXPECT_TRUE(std::isfinite(run.value.f32()[0]));
    for (const float value : run.gradients[0].span<float>()) EXPECT_TRUE(std::isfinite(value));
  }
}

TEST(Losses, ErrorsNameTheLossAndTheLabel) {
  Context ctx;
  const Tensor logits = random_tensor({2, 3}, 3);
  const auto refused = [&](const Tensor& targets, const CrossEntropyOptions& options = {}) {
    return test::failure([&] { cross_entropy(ctx, logits, targets, options); });
  };
  EXPECT_THAT(refused(Tensor::from<int64_t>({0, 3}, {2})),
              testing::HasSubstr("cross_entropy: label 3 is outside [0, 3)"));
  EXPECT_THAT(refused(Tensor::from<int64_t>({0, -1}, {2})), testing::HasSubstr("label -1"));
  EXPECT_THAT(refused(Tensor::from<int64_t>({0}, {1})), testing::HasSubstr("2 class numbers, got [1]"));
  EXPECT_THAT(refused(random_tensor({2, 4}, 4)), testing::HasSubstr("[2, 4]"));
}

TEST(Losses, ClassesThatWeighNothingHaveNoLoss) {
  Context ctx;
  Tape tape(ctx);
  ctx.tape = &tape;
  const Var z = Var::leaf(Tensor::full({2, 3}, 1.0f));
  const Tensor labels = Tensor::from<int64_t>({0, 1}, {2});
  const Var loss = cross_entropy(ctx, z, labels, {.class_weights = Tensor::zeros({3})});
  EXPECT_EQ(loss.value().f32()[0], 0.0f);
  tape.backward(loss);
  for (const float g : z.grad().span<float>()) EXPECT_EQ(g, 0.0f);
}

}  // namespace
}  // namespace vit
