// Strips on their way into a model: every frame alike, none bleeds into the next, and mirrors that would lie.
#include "datasets/clip_transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "datasets/actions.h"
#include "datasets/label_loader.h"
#include "tests/support/errors.h"
#include "vit/image/strip.h"

namespace datasets {
namespace {

using testing::HasSubstr;

constexpr int64_t kFrames = 4, kSide = 16;

vit::Preprocessor preprocessor() {
  return {{vit::ResizeTo{.to = {kFrames * kSide, kSide}}}, {.mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}}};
}

/// Frames of noise, all the same.
vit::Image repeated_frame(int64_t side) {
  vit::Image frame(side, side);
  vit::Rng rng(3);
  for (int64_t i = 0; i < frame.pixels.numel(); ++i) frame.row(0)[i] = static_cast<uint8_t>(rng.next_u32());
  return vit::make_strip({frame, frame, frame, frame});
}

TEST(ClipTransform, FramesAreTreatedAlike) {
  AugmentConfig augment;
  augment.crop_padding = 3;
  augment.color_jitter = 0.3;
  augment.reprob = 1.0;
  augment.remode = "const";
  const auto transform = clip_train_transform(augment, preprocessor(), kFrames);
  EXPECT_EQ(transform->output_size(), (vit::Extent{kFrames * kSide, kSide}));
  std::vector<float> pixels(3 * kFrames * kSide * kSide), other = pixels;
  vit::Rng rng(8), later(9);
  transform->run(repeated_frame(kSide), rng, pixels.data());
  constexpr size_t kPlane = kSide * kSide;
  for (size_t c = 0; c < 3; ++c)
    for (size_t t = 1; t < kFrames; ++t)
      EXPECT_EQ(std::memcmp(pixels.data() + (c * kFrames + t) * kPlane, pixels.data() + c * kFrames * kPlane,
                            kPlane * sizeof(float)),
                0)
          << "frame " << t;
  transform->run(repeated_frame(kSide), later, other.data());
  EXPECT_NE(pixels, other) << "another draw";
}

TEST(ClipTransform, EvaluationIsTheModelsPreprocessing) {
  const vit::Image strip = draw_action(1, 0, kFrames, 2 * kSide).strip;
  const auto transform = clip_eval_transform(preprocessor(), kFrames);
  std::vector<float> pixels(3 * kFrames * kSide * kSide);
  vit::Rng rng(1);
  transform->run(strip, rng, pixels.data());
  const vit::Tensor expected = preprocessor()(vit::fit_strip(strip, kFrames, {kSide, kSide}));
  EXPECT_EQ(std::memcmp(pixels.data(), expected.f32(), pixels.size() * sizeof(float)), 0);
  EXPECT_THAT(vit::test::usage_error([&] { transform->run(vit::Image(64, 64), rng, pixels.data()); }),
              HasSubstr("give it a film"));
}

TEST(ClipTransform, BatchesAreTheSameAtEveryCall) {
  const ActionsDataset data(1, 12, kFrames, kSide);
  AugmentConfig augment;
  augment.crop_padding = 2;
  const auto batch_of = [&] {
    const auto loader = make_label_loader(data, clip_train_transform(augment, preprocessor(), kFrames), augment, {},
                                          {.batch_size = 4}, 7);
    loader->start(1, 1);
    vit::Batch batch;
    EXPECT_TRUE(loader->next(batch));
    return batch;
  };
  const vit::Batch a = batch_of(), b = batch_of();
  ASSERT_EQ(a.images.shape(), (vit::Shape{4, 3, kFrames * kSide, kSide}));
  EXPECT_EQ(std::memcmp(a.images.f32(), b.images.f32(), static_cast<size_t>(a.images.nbytes())), 0);
  EXPECT_EQ(a.pictures, b.pictures);
}

TEST(ClipTransform, MirrorsThatLie) {
  AugmentConfig augment;
  EXPECT_THAT(vit::test::usage_error([&] { require_mirrors_keep_classes(augment, action_names()); }),
              HasSubstr("hflip: mirrored, 'moves left' is 'moves right'; set hflip: 0"));
  augment.hflip = 0.0;
  require_mirrors_keep_classes(augment, action_names());
  augment.vflip = 0.5;
  EXPECT_THAT(vit::test::usage_error([&] { require_mirrors_keep_classes(augment, action_names()); }),
              HasSubstr("vflip: 0"));
  require_mirrors_keep_classes(augment, {"grows", "turns left"});
  augment.no_aug = true;
  require_mirrors_keep_classes(augment, action_names());
}

}  // namespace
}  // namespace datasets
