#include "datasets/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <vector>

#include "tests/datasets/pictures.h"
#include "tests/support/errors.h"
#include "vit/core/parallel.h"

namespace datasets {
namespace {

using test::MemoryDataset;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr uint64_t kSeed = 42;

vit::Preprocessor preprocessor(int64_t size) {
  vit::TimmPreprocess config;
  config.input_size = {size, size};
  config.crop_pct = 1.0;
  return vit::Preprocessor::timm(config);
}

/// Everything at once, so that whatever depends on threads or on the position shows.
AugmentConfig strong() {
  AugmentConfig config;
  config.aa = "rand-m9-mstd0.5-inc1";
  config.reprob = 0.5;
  config.mixup = 0.8;
  config.cutmix = 1.0;
  config.mixup_mode = "elem";
  return config;
}

LoaderConfig batches_of(int64_t size) {
  LoaderConfig config;
  config.batch_size = size;
  return config;
}

std::vector<float> values_of(const vit::Batch& batch) {
  std::vector<float> values(batch.images.f32(), batch.images.f32() + batch.images.numel());
  if (batch.targets.dtype() == vit::DType::f32)
    values.insert(values.end(), batch.targets.f32(), batch.targets.f32() + batch.targets.numel());
  return values;
}

/// All batches of epochs 0 and 1, from `first` of epoch 0.
std::vector<std::vector<float>> run(Loader& loader, int64_t first = 0) {
  std::vector<std::vector<float>> batches;
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    loader.start(epoch, epoch == 0 ? first : 0);
    vit::Batch batch;
    while (loader.next(batch)) batches.push_back(values_of(batch));
  }
  return batches;
}

std::vector<std::vector<float>> run_with(int threads, const Dataset& dataset, const LoaderConfig& config,
                                         int64_t first = 0) {
  vit::set_num_threads(threads);
  std::vector<std::vector<float>> batches;
  {
    const auto loader = make_train_loader(dataset, preprocessor(24), strong(), {}, config, kSeed);
    batches = run(*loader, first);
  }
  vit::set_num_threads(0);
  return batches;
}

TEST(Loader, GivesTheSameBytesOnAnyNumberOfThreads) {
  const MemoryDataset dataset(50, 30, 26, 4);
  const auto expected = run_with(1, dataset, batches_of(8));
  ASSERT_EQ(expected.size(), 12u);
  EXPECT_NE(expected[0], expected[6]) << "epochs differ";
  for (const int threads : {2, 8}) EXPECT_EQ(run_with(threads, dataset, batches_of(8)), expected) << threads;
}

TEST(Loader, DoesNotDependOnCacheOrPrefetch) {
  const MemoryDataset dataset(50, 30, 26, 4);
  const auto expected = run_with(2, dataset, batches_of(8));
  LoaderConfig other = batches_of(8);
  other.cache_mb = 0;
  other.prefetch = 5;
  EXPECT_EQ(run_with(2, dataset, other), expected);
}

TEST(Loader, ContinuesAnywhere) {
  const MemoryDataset dataset(50, 30, 26, 4);
  const auto whole = run_with(2, dataset, batches_of(8));
  const auto rest = run_with(2, dataset, batches_of(8), 4);
  EXPECT_EQ(rest, std::vector(whole.begin() + 4, whole.end()));
  // Also by the same loader, in the middle of what it read ahead.
  const auto loader = make_train_loader(dataset, preprocessor(24), strong(), {}, batches_of(8), kSeed);
  vit::Batch batch;
  loader->start(1, 2);
  ASSERT_TRUE(loader->next(batch));
  loader->start(0, 5);
  ASSERT_TRUE(loader->next(batch));
  EXPECT_EQ(values_of(batch), whole[5]);
  EXPECT_FALSE(loader->next(batch));
  loader->start(0, 6);
  EXPECT_FALSE(loader->next(batch)) << "the end of an epoch is a place too";
}

TEST(Loader, ReadsEachPictureOnceWhenItFits) {
  const MemoryDataset dataset(50, 30, 26, 4);
  LoaderConfig config = batches_of(7);
  config.drop_last = false;
  const auto loader = make_train_loader(dataset, preprocessor(24), strong(), {}, config, kSeed);
  EXPECT_EQ(dataset.loads(), 0) << "nothing is read before it is asked for";
  EXPECT_EQ(run(*loader).size(), 16u);
  EXPECT_EQ(dataset.loads(), 50);
  EXPECT_GE(loader->bytes_cached(), 50 * 30 * 26 * 3);
  EXPECT_GT(loader->seconds_waited(), 0.0);
}

TEST(Loader, EvaluatesInOrderWithTheModelsPreprocessing) {
  const MemoryDataset dataset(10, 30, 26, 4);
  const vit::Preprocessor preprocess = preprocessor(16);
  const auto loader = make_eval_loader(dataset, preprocess, batches_of(4));
  EXPECT_EQ(loader->batches_per_epoch(), 3);
  loader->start(0, 0);
  vit::Batch batch;
  int64_t index = 0;
  for (const int64_t size : {4, 4, 2}) {
    ASSERT_TRUE(loader->next(batch));
    ASSERT_EQ(batch.images.shape(), (vit::Shape{size, 3, 16, 16}));
    ASSERT_EQ(batch.targets.dtype(), vit::DType::i64);
    for (int64_t b = 0; b < size; ++b, ++index) {
      const vit::Tensor expected = preprocess(dataset.load(index));
      EXPECT_EQ(std::memcmp(batch.images.slice(b, b + 1).raw(), expected.raw(), static_cast<size_t>(expected.nbytes())),
                0);
      EXPECT_EQ(batch.targets.data<int64_t>()[b], index % 4);
    }
  }
  EXPECT_FALSE(loader->next(batch));
}

TEST(Loader, ScalesDownBeforeItKeeps) {
  const MemoryDataset dataset(4, 64, 96, 2);
  LoaderConfig config = batches_of(4);
  config.cache_size = 16;
  const auto loader = make_eval_loader(dataset, preprocessor(16), config);
  loader->start(0, 0);
  vit::Batch batch;
  ASSERT_TRUE(loader->next(batch));
  EXPECT_LT(loader->bytes_cached(), 4 * (16 * 24 * 3 + 1024));
}

TEST(Loader, QuarantinesWhatCannotBeRead) {
  for (const int threads : {1, 2, 8}) {
    vit::set_num_threads(threads);
    const MemoryDataset dataset(40, 20, 20, 4, {3, 17});
    LoaderConfig config = batches_of(8);
    config.max_bad_fraction = 0.05;
    const auto loader = make_eval_loader(dataset, preprocessor(16), config);
    std::vector<int64_t> reported;
    loader->on_bad_picture([&](const BadPicture& bad) { reported.push_back(bad.index); });
    for (int64_t epoch = 0; epoch < 2; ++epoch) {
      loader->start(epoch, 0);
      std::vector<int64_t> sizes, labels;
      vit::Batch batch;
      while (loader->next(batch)) {
        sizes.push_back(batch.size());
        labels.insert(labels.end(), batch.targets.data<int64_t>(), batch.targets.data<int64_t>() + batch.size());
      }
      EXPECT_THAT(sizes, ElementsAre(7, 8, 7, 8, 8));
      EXPECT_EQ(labels[3], 0) << "picture 4 follows picture 2";
    }
    EXPECT_THAT(reported, ElementsAre(3, 17)) << "each once, in order";
    ASSERT_EQ(loader->quarantine().size(), 2u);
    EXPECT_EQ(loader->quarantine()[0].source, "memory/3");
    EXPECT_EQ(loader->quarantine()[0].reason, "is broken");
    EXPECT_EQ(dataset.loads(), 40) << "not tried again";
    vit::set_num_threads(0);
  }
}

TEST(Loader, FailsWhenTooManyCannotBeRead) {
  const MemoryDataset dataset(40, 20, 20, 4, {3, 17});
  LoaderConfig config = batches_of(8);
  config.max_bad_fraction = 0.04;
  const auto loader = make_eval_loader(dataset, preprocessor(16), config);
  loader->start(0, 0);
  vit::Batch batch;
  EXPECT_TRUE(loader->next(batch));
  EXPECT_TRUE(loader->next(batch));
  const std::string message = vit::test::failure([&] { loader->next(batch); });
  EXPECT_THAT(message, HasSubstr("2 of 40 pictures"));
  EXPECT_THAT(message, HasSubstr("memory/17: is broken"));
}

TEST(Loader, SkipsABatchThatHasNothingLeft) {
  const MemoryDataset dataset(12, 20, 20, 2, {4, 5, 6, 7});
  LoaderConfig config = batches_of(4);
  config.max_bad_fraction = 0.5;
  const auto loader = make_eval_loader(dataset, preprocessor(16), config);
  loader->start(0, 0);
  vit::Batch batch;
  EXPECT_TRUE(loader->next(batch));
  EXPECT_TRUE(loader->next(batch));
  EXPECT_FALSE(loader->next(batch));
}

TEST(Loader, DropsASmallLastBatchUnlessItIsTheOnlyOne) {
  const MemoryDataset dataset(10, 8, 8, 2);
  const auto count = [&](int64_t size) {
    return make_train_loader(dataset, preprocessor(8), {}, {}, batches_of(size), 1)->batches_per_epoch();
  };
  EXPECT_EQ(count(4), 2);
  EXPECT_EQ(count(5), 2);
  EXPECT_EQ(count(16), 1);
}

TEST(Loader, SaysWhatIsWrong) {
  const MemoryDataset dataset(10, 8, 8, 2), empty(0, 8, 8, 2);
  const auto loader = make_train_loader(dataset, preprocessor(8), {}, {}, batches_of(5), 1);
  vit::Batch batch;
  EXPECT_THAT(vit::test::failure([&] { loader->next(batch); }), HasSubstr("before start"));
  EXPECT_THAT(vit::test::failure([&] { loader->start(0, 3); }), HasSubstr("has 2 batches"));
  EXPECT_THAT(vit::test::usage_error([&] { make_eval_loader(empty, preprocessor(8), {}); }), HasSubstr("no pictures"));
}

/// Spins for a while on all threads, as a model does between two batches.
void work_on_all_threads(double seconds) {
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<uint64_t> sink{0};
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < seconds)
    vit::parallel_for(8, [&](int64_t part) {
      auto sum = static_cast<uint64_t>(part);
      for (uint64_t i = 0; i < 20000; ++i) sum = sum * 31 + i;
      sink += sum;
    });
}

TEST(Loader, CostsLittleOnSmallPictures) {
  const MemoryDataset dataset(2048, 32, 32, 10);
  AugmentConfig augment;
  augment.crop_padding = 4;
  augment.color_jitter = 0.0;
  augment.reprob = 0.25;
  const auto measure = [&](const char* name, const AugmentConfig& config) {
    const auto loader = make_train_loader(dataset, preprocessor(32), config, {}, batches_of(64), 1);
    vit::Batch batch;
    loader->start(0, 0);
    while (loader->next(batch)) {
    }
    vit::set_num_threads(1);  // next() then does all the work
    double cost = 0.0;
    {
      const auto single = make_train_loader(dataset, preprocessor(32), config, {}, batches_of(64), 1);
      for (int64_t epoch = 0; epoch < 2; ++epoch) {
        const std::clock_t before = std::clock();  // of this process alone, whatever else the machine does
        single->start(epoch, 0);
        while (single->next(batch)) {
        }
        cost = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
      }
    }
    vit::set_num_threads(0);
    loader->start(1, 0);
    const double before = loader->seconds_waited();
    int64_t batches = 0;
    double worked = 0.0;
    while (loader->next(batch) && batches < 8) {
      work_on_all_threads(0.02);
      worked += 0.02;
      ++batches;
    }
    std::printf("%-12s %6.1f us of processor time per 32 x 32 picture; waited %.2f %% of a trainer's 20 ms steps\n",
                name, cost / 2048 * 1e6, 100 * (loader->seconds_waited() - before) / worked);
    return cost / 2048;
  };
  EXPECT_LT(measure("crop, erase", augment), 200e-6);  // far above what it takes: caches are shared
  augment.mixup = 0.8;
  augment.cutmix = 1.0;
  measure("with mixing", augment);
  augment.aa = "rand-m9-mstd0.5-inc1";
  measure("with rand", augment);
}

}  // namespace
}  // namespace datasets
