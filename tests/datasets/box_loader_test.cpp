#include "datasets/box_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "datasets/scenes.h"
#include "tests/datasets/box_pictures.h"
#include "tests/support/errors.h"
#include "vit/core/parallel.h"

namespace datasets {
namespace {

using test::PaintedDataset;
using testing::HasSubstr;

constexpr uint64_t kSeed = 42;

vit::ToFloat centred() {
  vit::ToFloat to_float;
  to_float.mean = {0.5f, 0.5f, 0.5f};
  to_float.std = {0.5f, 0.5f, 0.5f};
  return to_float;
}

/// RT-DETR's form.
vit::Preprocessor fixed(int64_t size) { return {{vit::ResizeTo{.to = {size, size}}}, centred()}; }
/// DETR's form.
vit::Preprocessor keeping_ratio(int64_t shortest, int64_t longest) {
  return {{vit::ResizeShortestLongest{.shortest = shortest, .longest = longest}}, centred(), {.enabled = true}};
}

BoxAugmentConfig strong() {
  BoxAugmentConfig config;
  config.mosaic = 0.5;
  config.zoom_out = 0.3;
  config.scale_jitter = {0.7, 1.4};
  config.vflip = 0.3;
  config.hue = 0.1;
  return config;
}

LoaderConfig batches_of(int64_t size) {
  LoaderConfig config;
  config.batch_size = size;
  return config;
}

std::vector<float> values_of(const vit::Batch& batch) {
  std::vector<float> values(batch.images.f32(), batch.images.f32() + batch.images.numel());
  for (const vit::BoxTargets& targets : batch.boxes) {
    values.insert(values.end(), targets.boxes.f32(), targets.boxes.f32() + targets.boxes.numel());
    for (int64_t i = 0; i < targets.size(); ++i)
      values.push_back(static_cast<float>(targets.labels.data<int64_t>()[i]));
  }
  if (batch.pixel_mask.defined()) {
    const int64_t* mask = batch.pixel_mask.data<int64_t>();
    for (int64_t i = 0; i < batch.pixel_mask.numel(); ++i) values.push_back(static_cast<float>(mask[i]));
  }
  return values;
}

std::vector<std::vector<float>> run(Loader& loader, int64_t first = 0) {
  std::vector<std::vector<float>> batches;
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    loader.start(epoch, epoch == 0 ? first : 0);
    vit::Batch batch;
    while (loader.next(batch)) batches.push_back(values_of(batch));
  }
  return batches;
}

/// Targets must bound the pixels of their class's colour, up to the blur of scaling.
void expect_boxes_on_colours(const vit::Batch& batch, double tolerance) {
  const int64_t height = batch.images.size(2), width = batch.images.size(3);
  for (int64_t b = 0; b < batch.size(); ++b) {
    int64_t valid_h = height, valid_w = width;
    if (batch.pixel_mask.defined()) {
      const int64_t* mask = batch.pixel_mask.data<int64_t>() + b * height * width;
      valid_w = valid_h = 0;
      while (valid_w < width && mask[valid_w] == 1) ++valid_w;
      while (valid_h < height && mask[valid_h * width] == 1) ++valid_h;
    }
    const vit::BoxTargets& targets = batch.boxes[static_cast<size_t>(b)];
    for (int64_t i = 0; i < targets.size(); ++i) {
      const float* share = targets.boxes.f32() + 4 * i;
      const vit::Corners box =
          vit::to_corners({share[0] * static_cast<double>(valid_w), share[1] * static_cast<double>(valid_h),
                           share[2] * static_cast<double>(valid_w), share[3] * static_cast<double>(valid_h)});
      const int64_t label = targets.labels.data<int64_t>()[i];
      const vit::Corners seen = test::extent_of_colour(batch.images.slice(b, b + 1), label, box);
      for (size_t side = 0; side < 4; ++side)
        EXPECT_NEAR(box[side], seen[side], tolerance) << b << " " << i << " " << side;
    }
  }
}

TEST(BoxLoader, EvaluatesInOrderWithBoxesWherePixelsAre) {
  const PaintedDataset dataset(7, 60, 90);
  const auto loader = make_box_eval_loader(dataset, fixed(64), batches_of(3));
  EXPECT_EQ(loader->batches_per_epoch(), 3);
  loader->start(0, 0);
  vit::Batch batch;
  std::vector<int64_t> pictures;
  while (loader->next(batch)) {
    ASSERT_EQ(batch.images.size(2), 64);
    EXPECT_FALSE(batch.pixel_mask.defined());
    EXPECT_FALSE(batch.targets.defined());
    ASSERT_EQ(static_cast<int64_t>(batch.boxes.size()), batch.size());
    pictures.insert(pictures.end(), batch.pictures.begin(), batch.pictures.end());
    expect_boxes_on_colours(batch, 1.0);
  }
  EXPECT_THAT(pictures, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6));
}

TEST(BoxLoader, KeepsRatiosAndPadsWithAMask) {
  const PaintedDataset dataset(6, 60, 90, /*turned=*/true);
  const auto loader = make_box_eval_loader(dataset, keeping_ratio(48, 64), batches_of(6));
  loader->start(0, 0);
  vit::Batch batch;
  ASSERT_TRUE(loader->next(batch));
  EXPECT_EQ(batch.images.shape(), (vit::Shape{6, 3, 64, 64})) << "43 x 64 and 64 x 43, padded";
  ASSERT_EQ(batch.pixel_mask.shape(), (vit::Shape{6, 64, 64}));
  expect_boxes_on_colours(batch, 1.0);
}

TEST(BoxLoader, GivesTheSameBytesOnAnyNumberOfThreadsFromAnywhere) {
  const PaintedDataset dataset(24, 40, 50);
  BoxAugmentConfig config = strong();
  config.multiscale = 0.3;
  config.multiscale_step = 8;
  const auto run_with = [&](int threads, int64_t first) {
    vit::set_num_threads(threads);
    std::vector<std::vector<float>> batches;
    {
      const auto loader = make_box_train_loader(dataset, keeping_ratio(32, 48), config, {}, batches_of(4), kSeed);
      batches = run(*loader, first);
    }
    vit::set_num_threads(0);
    return batches;
  };
  const auto expected = run_with(1, 0);
  ASSERT_EQ(expected.size(), 12u);
  EXPECT_NE(expected[0], expected[6]);
  for (const int threads : {2, 8}) EXPECT_EQ(run_with(threads, 0), expected) << threads;
  EXPECT_EQ(run_with(2, 4), std::vector(expected.begin() + 4, expected.end()));
}

TEST(BoxLoader, DoesNotDependOnTheCache) {
  const PaintedDataset dataset(8, 40, 50);
  LoaderConfig cached = batches_of(4), uncached = batches_of(4);
  uncached.cache_mb = 0;
  const auto a = make_box_train_loader(dataset, fixed(32), strong(), {}, cached, kSeed);
  const auto b = make_box_train_loader(dataset, fixed(32), strong(), {}, uncached, kSeed);
  EXPECT_EQ(run(*a), run(*b));
}

TEST(BoxLoader, MovesBoxesWithPicturesThatTheCacheScales) {
  const PaintedDataset dataset(4, 120, 180);
  LoaderConfig config = batches_of(4);
  config.cache_size = 60;
  const auto loader = make_box_eval_loader(dataset, fixed(60), config);
  loader->start(0, 0);
  vit::Batch batch;
  ASSERT_TRUE(loader->next(batch));
  expect_boxes_on_colours(batch, 1.0);
}

TEST(BoxLoader, VariesTheInputSizeBetweenBatchesOnly) {
  const PaintedDataset dataset(64, 40, 50);
  BoxAugmentConfig config;
  config.multiscale = 0.5;
  config.multiscale_step = 16;
  const auto loader = make_box_train_loader(dataset, fixed(64), config, {}, batches_of(4), kSeed);
  loader->start(0, 0);
  vit::Batch batch;
  std::set<int64_t> sizes;
  while (loader->next(batch)) {
    EXPECT_EQ(batch.images.size(2), batch.images.size(3));
    EXPECT_EQ(batch.images.size(2) % 16, 0);
    sizes.insert(batch.images.size(2));
  }
  EXPECT_GE(sizes.size(), 3u);
  EXPECT_GE(*sizes.begin(), 32);
  EXPECT_LE(*sizes.rbegin(), 96);
}

TEST(BoxLoader, QuarantinesPicturesOfAnotherSizeThanTheAnnotations) {
  const PaintedDataset dataset(10, 40, 50, false, /*beyond=*/{3});
  LoaderConfig config = batches_of(5);
  config.max_bad_fraction = 0.1;
  const auto loader = make_box_eval_loader(dataset, fixed(32), config);
  loader->start(0, 0);
  vit::Batch batch;
  ASSERT_TRUE(loader->next(batch));
  EXPECT_THAT(batch.pictures, testing::ElementsAre(0, 1, 2, 4));
  ASSERT_EQ(loader->quarantine().size(), 1u);
  EXPECT_THAT(loader->quarantine()[0].reason, HasSubstr("boxes were drawn on a picture of another size"));
}

TEST(BoxLoader, LeavesCrowdsAndDifficultBoxesOut) {
  std::vector<BoxAnnotation> boxes(3, {.box = {10, 20, 30, 60}, .label = 2});
  boxes[0].crowd = true;
  boxes[1].difficult = true;
  const vit::BoxTargets targets = targets_of(boxes, 100, 200);
  ASSERT_EQ(targets.size(), 1);
  EXPECT_EQ(targets.labels.data<int64_t>()[0], 2);
  const float* share = targets.boxes.f32();
  EXPECT_FLOAT_EQ(share[0], 0.1f);
  EXPECT_FLOAT_EQ(share[1], 0.4f);
  EXPECT_FLOAT_EQ(share[2], 0.1f);
  EXPECT_FLOAT_EQ(share[3], 0.4f);
  EXPECT_EQ(targets_of({}, 10, 10).boxes.shape(), (vit::Shape{0, 4}));
}

TEST(BoxLoader, SaysWhatItCannotDo) {
  const PaintedDataset dataset(4, 40, 50), empty(0, 40, 50);
  const auto error = [&](const BoxDataset& data, const vit::Preprocessor& preprocessor, const SamplerConfig& sampler) {
    return vit::test::usage_error([&] { make_box_train_loader(data, preprocessor, {}, sampler, {}, 0); });
  };
  EXPECT_THAT(error(empty, fixed(32), {}), HasSubstr("no pictures"));
  EXPECT_THAT(error(dataset, vit::Preprocessor::timm({}), {}), HasSubstr("crops pictures"));
  EXPECT_THAT(error(dataset, {{vit::ResizeShortest{.size = 32}}, {}}, {}), HasSubstr("does not pad"));
  SamplerConfig balanced;
  balanced.sampler = "balanced";
  EXPECT_THAT(error(dataset, fixed(32), balanced), HasSubstr("shuffled"));
}

TEST(BoxLoader, TrainsOnScenes) {
  const ScenesDataset scenes(3, 8, 64);
  const auto loader = make_box_train_loader(scenes, fixed(64), {}, {}, batches_of(4), kSeed);
  loader->start(0, 0);
  vit::Batch batch;
  int64_t boxes = 0;
  while (loader->next(batch))
    for (const vit::BoxTargets& targets : batch.boxes) boxes += targets.size();
  EXPECT_GT(boxes, 8);
}

}  // namespace
}  // namespace datasets
