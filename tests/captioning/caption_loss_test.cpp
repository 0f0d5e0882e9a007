#include "captioning/caption_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "vit/autograd/tape.h"
#include "vit/core/rng.h"

namespace captioning {
namespace {

using vit::Context;
using vit::Tensor;
using vit::Var;

Tensor random(const vit::Shape& shape) {
  Tensor tensor = Tensor::empty(shape);
  vit::Rng rng(4);
  vit::fill_normal(tensor, rng, 1.0f);
  return tensor;
}

/// The definition, in double.
double expected_loss(const Tensor& logits, const std::vector<int64_t>& labels, double smoothing) {
  const int64_t vocab = logits.size(2);
  double total = 0.0, count = 0.0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == kIgnoredLabel) continue;
    const float* row = logits.f32() + static_cast<int64_t>(i) * vocab;
    double sum = 0.0, all = 0.0;
    for (int64_t v = 0; v < vocab; ++v) sum += std::exp(static_cast<double>(row[v]));
    for (int64_t v = 0; v < vocab; ++v) all += std::log(sum) - row[v];
    total += (1.0 - smoothing) * (std::log(sum) - row[labels[i]]) + smoothing * all / static_cast<double>(vocab);
    count += 1.0;
  }
  return total / count;
}

TEST(CaptionLoss, IsTheMeanOverTheWordsThatCount) {
  const Tensor logits = random({2, 3, 5});
  const std::vector<int64_t> labels = {4, kIgnoredLabel, 0, 2, 2, kIgnoredLabel};
  for (const float smoothing : {0.0f, 0.1f}) {
    Context ctx;
    const Var loss = caption_loss(ctx, logits, Tensor::from(labels, {2, 3}), smoothing);
    EXPECT_NEAR(loss.value().f32()[0], expected_loss(logits, labels, smoothing), 1e-6);
  }
}

TEST(CaptionLoss, PaddingHasNoGradient) {
  const Var logits = Var::leaf(random({2, 3, 5}));
  Context ctx;
  vit::Tape tape(ctx);
  ctx.tape = &tape;
  tape.backward(caption_loss(ctx, logits, Tensor::from<int64_t>({4, kIgnoredLabel, 0, 2, 2, 1}, {2, 3})));
  for (int64_t row = 0; row < 6; ++row) {
    double sum = 0.0;
    for (int64_t v = 0; v < 5; ++v) sum += std::abs(logits.grad().f32()[row * 5 + v]);
    EXPECT_EQ(sum == 0.0, row == 1);
  }
}

TEST(CaptionLoss, RefusesLabelsThatAreNoWords) {
  Context ctx;
  const Tensor logits = random({1, 2, 5});
  EXPECT_THROW(caption_loss(ctx, logits, Tensor::from<int64_t>({5, 0}, {1, 2})), vit::Error);
  EXPECT_THROW(caption_loss(ctx, logits, Tensor::from<int64_t>({-1, 0}, {1, 2})), vit::Error);
  EXPECT_THROW(caption_loss(ctx, logits, Tensor::from<int64_t>({-100, -100}, {1, 2})), vit::Error);
  EXPECT_THROW(caption_loss(ctx, logits, Tensor::from<int64_t>({1, 2, 3}, {1, 3})), vit::Error);
}

TEST(CaptionLoss, ShiftsAreInverse) {
  const Tensor labels = Tensor::from<int64_t>({7, 8, 9, 7, 8, -100}, {2, 3});
  const Tensor right = shifted_right(labels, 1, 0), left = next_labels(labels);
  EXPECT_THAT(right.span<int64_t>(), ::testing::ElementsAre(1, 7, 8, 1, 7, 8));
  EXPECT_THAT(left.span<int64_t>(), ::testing::ElementsAre(8, 9, -100, 8, -100, -100));
  EXPECT_THAT(shifted_right(left, 1, 0).span<int64_t>(), ::testing::ElementsAre(1, 8, 9, 1, 8, 0));
}

}  // namespace
}  // namespace captioning
