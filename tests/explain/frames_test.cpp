// Shares of frames, the methods about them, and the picture.
#include "vit/explain/frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"
#include "vit/explain/classifier_subject.h"
#include "vit/image/strip.h"
#include "vit/models/timesformer.h"
#include "vit/models/vit.h"

namespace vit {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(FrameShares, AreSumsOfRows) {
  const Tensor map = Tensor::from<float>({1, 1, 0, 2, -5, 4}, {6, 1});
  EXPECT_THAT(frame_shares(map, 3), ElementsAre(0.25, 0.25, 0.5));
  // A row between two frames is divided.
  EXPECT_THAT(frame_shares(Tensor::from<float>({1, 2, 1}, {3, 1}), 2), ElementsAre(0.5, 0.5));
  EXPECT_THAT(frame_shares(Tensor::zeros({4, 2}), 4), ElementsAre(0.25, 0.25, 0.25, 0.25));
  EXPECT_THAT(test::failure([] { frame_shares(Tensor::zeros({4}), 2); }), HasSubstr("a map f32 [rows, columns]"));
}

TimesformerConfig small(ClipAttention type = ClipAttention::divided_space_time) {
  TimesformerConfig config;
  config.num_frames = 4;
  config.img_size = {8, 8};
  config.patch_size = 4;
  config.embed_dim = 8;
  config.depth = 2;
  config.num_heads = 2;
  config.mlp_hidden = 12;
  config.num_classes = 3;
  config.attention_type = type;
  return config;
}

/// A class of a model with random weights.
ClassifierSubject subject_of(const TimesformerConfig& config) {
  const auto model = std::make_shared<ExplainedModel>([config](Purpose purpose) {
    auto made = std::make_shared<Timesformer>(config, "timesformer");
    initialise_parameters(*made, 3, Purpose::training);
    test::fill_leaves(*made);
    made->visit_parameters([](const std::string&, Parameter& p) { p.value = Var(p.value.value().clone()); });
    if (purpose == Purpose::inference) made->visit_modules([](const std::string&, Module& m) { m.prepare(); });
    return made;
  });
  return {model, 1, "one"};
}

Tensor clip() { return test::random_tensor({1, 3, 4 * 8, 8}, 5); }

TEST(FrameMethods, EveryMethodMakesAMapOfTheStrip) {
  const ClassifierSubject subject = subject_of(small());
  EXPECT_EQ(frames_of(subject), 4);
  const std::vector<std::string> methods = methods_for(subject);
  EXPECT_THAT(methods, testing::IsSupersetOf({"frame_occlusion", "temporal_attention", "rollout", "gradient_rollout",
                                              "relevance", "gradcam", "integrated_gradients"}));
  for (const std::string& method : methods) {
    const FrameImportance importance = frame_importance(subject, clip(), method, {.steps = 3, .samples = 20});
    ASSERT_EQ(importance.shares.size(), 4u) << method;
    EXPECT_NEAR(std::accumulate(importance.shares.begin(), importance.shares.end(), 0.0), 1.0, 1e-5) << method;
    const Tensor& map = importance.explanation.map;
    EXPECT_TRUE(method == "frame_occlusion" || map.size(0) == 4 * map.size(1)) << method << " " << map.shape();
    for (int64_t i = 0; i < map.numel(); ++i) ASSERT_TRUE(std::isfinite(map.f32()[i])) << method;
  }
}

TEST(FrameMethods, OcclusionIsTheFallOfTheScore) {
  const ClassifierSubject subject = subject_of(small());
  const Tensor whole = clip();
  const FrameImportance importance = frame_importance(subject, whole);
  ASSERT_EQ(importance.explanation.map.shape(), (Shape{4, 1}));
  // Frame 0 has one neighbour.
  Tensor changed = whole.clone();
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t i = 0; i < 64; ++i) changed.f32()[c * 256 + i] = whole.f32()[c * 256 + 64 + i];
  const double fall = subject.scores(whole)[0] - subject.scores(changed)[0];
  EXPECT_NEAR(importance.explanation.map.f32()[0], fall, 1e-6);
  EXPECT_TRUE(importance.explanation.is_signed);
  EXPECT_THAT(importance.explanation.notes.at(0), HasSubstr("6 clips"));
}

/// A clip that is scored by how frames 1 and 2 differ, whatever the others show.
class ChangeSubject : public Subject {
 public:
  std::string name() const override { return "change"; }
  const ImageModel& model() const override { return model_; }
  Var objective(Context&, const Var& pixels) const override {
    std::vector<float> values;
    for (const double score : scores(pixels.value())) values.push_back(static_cast<float>(score));
    return Tensor::from(values, {pixels.size(0)});
  }
  std::vector<double> scores(const Tensor& pixels) const override {
    std::vector<double> scores;
    for (int64_t b = 0; b < pixels.size(0); ++b) {
      const float* frames = pixels.f32() + b * 3 * 256;
      double change = 0.0;
      for (int64_t i = 0; i < 64; ++i) change += std::abs(static_cast<double>(frames[64 + i]) - frames[128 + i]);
      scores.push_back(change / (1.0 + change));
    }
    return scores;
  }
  std::unique_ptr<Subject> randomized(uint64_t) const override { return std::make_unique<ChangeSubject>(); }

 private:
  Timesformer model_{small(), "timesformer"};
};

TEST(FrameMethods, TheFramesOfTheEventMatter) {
  const FrameImportance importance = frame_importance(ChangeSubject(), clip());
  EXPECT_GT(importance.shares[1] + importance.shares[2], 0.9);
  EXPECT_NEAR(importance.explanation.map.f32()[0], 0.0, 1e-7);
  EXPECT_NEAR(importance.explanation.map.f32()[3], 0.0, 1e-7);
}

TEST(FrameMethods, AStillClipHasNoFrameThatMatters) {
  const ClassifierSubject subject = subject_of(small());
  Tensor still = clip();
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t t = 1; t < 4; ++t)
      for (int64_t i = 0; i < 64; ++i) still.f32()[c * 256 + t * 64 + i] = still.f32()[c * 256 + i];
  const Tensor map = frame_importance(subject, still).explanation.map;
  for (int64_t t = 0; t < 4; ++t) EXPECT_NEAR(map.f32()[t], 0.0, 1e-7);
}

TEST(FrameMethods, WhatDoesNotApply) {
  const ClassifierSubject by_frame = subject_of(small(ClipAttention::space_only));
  EXPECT_THAT(test::usage_error([&] { frame_importance(by_frame, clip(), "temporal_attention"); }),
              HasSubstr("nothing in it attends along time alone"));
  VitConfig config;
  config.img_size = {8, 8};
  config.patch_size = {4, 4};
  config.embed_dim = 8;
  config.depth = 1;
  config.num_heads = 2;
  config.num_classes = 3;
  const auto pictures = std::make_shared<ExplainedModel>([config](Purpose purpose) {
    auto made = std::make_shared<Vit>(config, "vit");
    initialise_parameters(*made, 3, purpose);
    return made;
  });
  const ClassifierSubject subject(pictures, 0, "zero");
  const Tensor picture = test::random_tensor({1, 3, 8, 8}, 5);
  EXPECT_EQ(frames_of(subject), 0);
  EXPECT_THAT(test::usage_error([&] { frame_importance(subject, picture); }), HasSubstr("no frames to compare"));
  EXPECT_THAT(test::usage_error([&] { explain("frame_occlusion", subject, picture); }), HasSubstr("it sees pictures"));
}

TEST(FilmStrip, ShowsFramesMapsAndBars) {
  FrameImportance importance{.shares = {0.1, 0.6, 0.3, 0.0}};
  importance.explanation.map = Tensor::from<float>({0.1f, 0.6f, 0.3f, 0.0f}, {4, 1});
  Image frame(16, 16);
  std::fill_n(frame.row(0), frame.pixels.numel(), uint8_t{120});
  const Image strip = make_strip({frame, frame, frame, frame});
  const FilmStripOptions options{.title = "one", .lines = {"a line"}, .marked = {false, true, true, false}, .side = 32};
  const Image picture = draw_film_strip(strip, importance, options);
  EXPECT_GE(picture.width(), 4 * 32);
  // The bar of frame 1 is taller than that of frame 2: count blue pixels in the middle columns of both.
  const auto blue = [&](int64_t t) {
    int64_t count = 0;
    const int64_t x = 12 + t * (32 + 6) + 4;
    for (int64_t y = 0; y < picture.height(); ++y)
      count += picture.row(y)[3 * x] == 68 && picture.row(y)[3 * x + 2] == 196 ? 1 : 0;
    return count;
  };
  EXPECT_GT(blue(1), blue(2));
  EXPECT_GT(blue(2), blue(0));
  // Two rows of two columns are taller.
  FilmStripOptions narrow = options;
  narrow.columns = 2;
  EXPECT_GT(draw_film_strip(strip, importance, narrow).height(), picture.height());
  EXPECT_THAT(test::failure([&] { draw_film_strip(strip, importance, {.names = {"a"}}); }), HasSubstr("of 4 frames"));
  EXPECT_THAT(test::failure([&] { draw_film_strip(Image(15, 4), importance); }), HasSubstr("no 4 frames"));
  EXPECT_THAT(test::failure([&] { draw_film_strip(strip, importance, {.side = 4}); }), HasSubstr("a side from 24"));
}

}  // namespace
}  // namespace vit
