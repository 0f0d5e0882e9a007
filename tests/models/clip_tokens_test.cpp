// The tokens of a clip: parts and back, and attention within parts as attention among all.
#include "vit/models/clip_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"

namespace vit {
namespace {

using testing::HasSubstr;

constexpr int64_t kPlaces = 4;
const ClipGrid kClip{3, {2, 2}};

/// Token i of sample b has the value 100 b + i.
Tensor numbered(int64_t batch) {
  Tensor x = Tensor::empty({batch, 1 + kClip.patches(), 1});
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t i = 0; i < x.size(1); ++i) x.f32()[b * x.size(1) + i] = static_cast<float>(100 * b + i);
  return x;
}

TEST(ClipTokens, PlacesAreFollowedThroughTheFrames) {
  Context ctx;
  const Var places = split_clip(ctx, numbered(2), kClip, ClipPart::places);
  ASSERT_EQ(places.shape(), (Shape{2 * kPlaces, 3, 1}));
  // The second sample's place 1: patches 1 of frames 0, 1 and 2.
  const float* row = places.value().f32() + (kPlaces + 1) * 3;
  EXPECT_EQ((std::vector<float>{row[0], row[1], row[2]}), (std::vector<float>{102, 106, 110}));
  const Var back = join_clip(ctx, places, kClip, ClipPart::places);
  ASSERT_EQ(back.shape(), (Shape{2, 12, 1}));
  for (int64_t i = 0; i < 12; ++i) EXPECT_EQ(back.value().f32()[12 + i], static_cast<float>(101 + i));
}

TEST(ClipTokens, EveryFrameHasTheClassToken) {
  Context ctx;
  Var frames = split_clip(ctx, numbered(2), kClip, ClipPart::frames);
  ASSERT_EQ(frames.shape(), (Shape{6, 5, 1}));
  const float* row = frames.value().f32() + 4 * 5;  // the second sample's frame 1
  EXPECT_EQ((std::vector<float>{row[0], row[1], row[4]}), (std::vector<float>{100, 105, 108}));
  const Tensor changed = frames.value().clone();
  for (int64_t t = 0; t < 3; ++t) changed.f32()[t * 5] = static_cast<float>(10 * t);
  const Var back = join_clip(ctx, changed, kClip, ClipPart::frames);
  ASSERT_EQ(back.shape(), (Shape{2, 13, 1}));
  EXPECT_EQ(back.value().f32()[0], 10.0f);  // the mean of 0, 10 and 20
  for (int64_t i = 1; i < 13; ++i) EXPECT_EQ(back.value().f32()[i], static_cast<float>(i));
}

/// Rows that sum to one: softmax of random scores.
Tensor random_probs(const Shape& shape) {
  Context ctx;
  return softmax(ctx, test::random_tensor(shape, 7)).value().clone();
}

TEST(ClipTokens, ProbabilitiesAmongAllTokens) {
  for (const ClipPart part : {ClipPart::places, ClipPart::frames}) {
    const bool places = part == ClipPart::places;
    const int64_t parts = places ? kPlaces : 3, length = places ? 3 : 5;
    const Tensor probs = random_probs({2 * parts, 2, length, length});
    const Tensor wide = spread_probs(probs, kClip, part);
    ASSERT_EQ(wide.shape(), (Shape{2, 2, 13, 13}));
    // It mixes any values as the parts do: y = P x, part by part.
    const Tensor x = test::random_tensor({2, 13, 1}, 8);
    Context ctx;
    const Var within = split_clip(ctx, x, kClip, part);
    for (int64_t head = 0; head < 2; ++head) {
      Tensor mixed = Tensor::empty(within.shape());
      for (int64_t s = 0; s < 2 * parts; ++s)
        for (int64_t q = 0; q < length; ++q) {
          double sum = 0.0;
          for (int64_t k = 0; k < length; ++k)
            sum += static_cast<double>(probs.f32()[((s * 2 + head) * length + q) * length + k]) *
                   static_cast<double>(within.value().f32()[s * length + k]);
          mixed.f32()[s * length + q] = static_cast<float>(sum);
        }
      const Tensor expected = join_clip(ctx, mixed, kClip, part).value();
      const int64_t first = places ? 1 : 0;
      for (int64_t b = 0; b < 2; ++b)
        for (int64_t q = 0; q < 13; ++q) {
          const float* row = wide.f32() + ((b * 2 + head) * 13 + q) * 13;
          double sum = 0.0, total = 0.0;
          for (int64_t k = 0; k < 13; ++k) {
            sum += static_cast<double>(row[k]) * static_cast<double>(x.f32()[b * 13 + k]);
            total += static_cast<double>(row[k]);
          }
          EXPECT_NEAR(total, 1.0, 1e-6);
          const float wanted =
              q < first ? x.f32()[b * 13] : expected.f32()[b * (13 - first) + q - first];  // alone in time
          EXPECT_NEAR(sum, wanted, 1e-5) << "part " << places << " query " << q;
        }
    }
  }
}

TEST(ClipTokens, GradientsTimesProbabilitiesAreThoseOfTheParts) {
  for (const ClipPart part : {ClipPart::places, ClipPart::frames}) {
    const bool places = part == ClipPart::places;
    const int64_t parts = places ? kPlaces : 3, length = places ? 3 : 5;
    const Tensor probs = random_probs({parts, 2, length, length});
    Tensor gradient = test::random_tensor(probs.shape(), 9);
    // What copies of the class token say of themselves is one number among all tokens: let them agree.
    for (int64_t s = 0; !places && s < parts * 2; ++s) gradient.f32()[s * length * length] = 0.5f;
    const Tensor wide = spread_probs(probs, kClip, part), slopes = spread_probs_gradient(gradient, kClip, part);
    double within = 0.0, among = 0.0;
    for (int64_t i = 0; i < probs.numel(); ++i)
      within += static_cast<double>(probs.f32()[i]) * static_cast<double>(gradient.f32()[i]);
    for (int64_t i = 0; i < wide.numel(); ++i)
      among += static_cast<double>(wide.f32()[i]) * static_cast<double>(slopes.f32()[i]);
    EXPECT_NEAR(within, among, 1e-4);
  }
}

TEST(ClipTokens, ScoresHideWhatCannotBeSeen) {
  const Tensor scores = test::random_tensor({3, 1, 5, 5}, 3);
  const Tensor wide = spread_scores(scores, kClip, ClipPart::frames);
  EXPECT_EQ(wide.f32()[1 * 13 + 2], scores.f32()[1 * 5 + 2]);  // patches 0 and 1 of frame 0
  EXPECT_TRUE(std::isinf(wide.f32()[1 * 13 + 5]));             // another frame
  const float mean = (scores.f32()[0] + scores.f32()[25] + scores.f32()[50]) / 3.0f;
  EXPECT_NEAR(wide.f32()[0], mean, 1e-6);
}

TEST(ClipTokens, ObserversSeeWholeClips) {
  struct Keep : Observer {
    bool wants(const std::string&) override { return true; }
    void observe(const std::string& name, const Tensor& value) override { seen[name] = value.clone(); }
    std::map<std::string, Tensor> seen;
  } keep;
  Context ctx;
  ctx.observer = &keep;
  {
    const Scope scope(ctx, "attn");
    const ObserveWholeClip whole(ctx, kClip, ClipPart::frames);
    ctx.observe("probs", random_probs({3, 1, 5, 5}));
    ctx.observe("layout", Tensor::from<float>({1, 2, 2}, {3}));
    ctx.observe("other", Tensor::zeros({2}));
  }
  EXPECT_EQ(ctx.observer, &keep);
  EXPECT_EQ(keep.seen.at("attn.probs").shape(), (Shape{1, 1, 13, 13}));
  EXPECT_EQ(keep.seen.at("attn.layout").f32()[1], 6.0f);
  EXPECT_EQ(keep.seen.at("attn.other").shape(), (Shape{2}));
}

TEST(ClipTokens, WrongShapes) {
  Context ctx;
  EXPECT_THAT(test::failure([&] {
                split_clip(ctx, Tensor::zeros({1, 12, 2}), kClip, ClipPart::places);
              }),
              HasSubstr("[B, 13, C]"));
  EXPECT_THAT(test::failure([&] {
                join_clip(ctx, Tensor::zeros({5, 3, 2}), kClip, ClipPart::places);
              }),
              HasSubstr("[B * 4, 3, C]"));
  EXPECT_THAT(test::failure([&] {
                spread_probs(Tensor::zeros({3, 1, 4, 4}), kClip, ClipPart::frames);
              }),
              HasSubstr("[B * 3, H, 5, 5]"));
}

}  // namespace
}  // namespace vit
