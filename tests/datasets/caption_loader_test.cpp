#include "datasets/caption_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/datasets/pictures.h"
#include "tests/support/errors.h"
#include "vit/core/parallel.h"

namespace datasets {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using vit::test::usage_error;

constexpr int64_t kSide = 8;

/// Pictures in memory with three captions each: "INDEX/0" to "INDEX/2".
class Captioned : public CaptionDataset {
 public:
  explicit Captioned(int64_t count, std::set<int64_t> broken = {}) : pictures_(count, 10, 14, 1, std::move(broken)) {}
  int64_t size() const override { return pictures_.size(); }
  std::string source(int64_t index) const override { return pictures_.source(index); }
  vit::Image load(int64_t index) const override { return pictures_.load(index); }
  std::vector<std::string> captions(int64_t index) const override {
    const std::string name = std::to_string(index) + "/";
    return {name + "0", name + "1", name + "2"};
  }

 private:
  test::MemoryDataset pictures_;
};

vit::Preprocessor preprocessor() { return vit::Preprocessor({vit::ResizeTo{.to = {kSide, kSide}}}, {}); }

struct Epoch {
  std::vector<std::string> captions;
  std::vector<int64_t> pictures;
  std::vector<float> pixels;
};

Epoch run(Loader& loader, int64_t epoch) {
  Epoch all;
  vit::Batch batch;
  loader.start(epoch, 0);
  while (loader.next(batch)) {
    EXPECT_EQ(batch.captions.size(), batch.pictures.size());
    EXPECT_EQ(batch.images.size(0), static_cast<int64_t>(batch.captions.size()));
    EXPECT_FALSE(batch.targets.defined());
    all.captions.insert(all.captions.end(), batch.captions.begin(), batch.captions.end());
    all.pictures.insert(all.pictures.end(), batch.pictures.begin(), batch.pictures.end());
    all.pixels.insert(all.pixels.end(), batch.images.f32(), batch.images.f32() + batch.images.numel());
  }
  return all;
}

std::unique_ptr<Loader> train_loader(const CaptionDataset& data, uint64_t seed,
                                     const CaptionAugmentConfig& augment = {}) {
  return make_caption_train_loader(data, preprocessor(), augment, {}, {.batch_size = 5, .drop_last = false}, seed);
}

TEST(CaptionLoader, EveryPictureHasOneOfItsCaptionsAndAllComeUp) {
  const Captioned data(23);
  const auto loader = train_loader(data, 4);
  std::map<int64_t, std::set<std::string>> seen;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    const Epoch all = run(*loader, epoch);
    ASSERT_EQ(all.pictures.size(), 23u);
    for (size_t i = 0; i < all.pictures.size(); ++i) {
      EXPECT_TRUE(all.captions[i].starts_with(std::to_string(all.pictures[i]) + "/"));
      seen[all.pictures[i]].insert(all.captions[i]);
    }
  }
  for (const auto& [index, captions] : seen) EXPECT_EQ(captions.size(), 3u) << index;
}

TEST(CaptionLoader, IsAFunctionOfSeedAndEpochOnAnyNumberOfThreads) {
  const Captioned data(23);
  const int64_t threads = vit::num_threads();
  const Epoch one = run(*train_loader(data, 4), 3);
  vit::set_num_threads(threads == 1 ? 2 : 1);
  const Epoch other = run(*train_loader(data, 4), 3);
  vit::set_num_threads(threads);
  EXPECT_EQ(one.captions, other.captions);
  EXPECT_EQ(one.pixels, other.pixels);
  EXPECT_NE(one.captions, run(*train_loader(data, 5), 3).captions);
  EXPECT_NE(one.captions, run(*train_loader(data, 4), 4).captions);
}

TEST(CaptionLoader, UnreadablePicturesTakeTheirCaptionsWithThem) {
  const Captioned data(6, {2});
  const auto loader = make_caption_eval_loader(data, preprocessor(), {.batch_size = 4, .max_bad_fraction = 0.5});
  const Epoch all = run(*loader, 0);
  EXPECT_THAT(all.pictures, ElementsAre(0, 1, 3, 4, 5));
  EXPECT_THAT(all.captions, ElementsAre("0/0", "1/0", "3/0", "4/0", "5/0"));
  ASSERT_EQ(loader->quarantine().size(), 1u);
}

TEST(CaptionLoader, WithoutAugmentationPicturesAreTheModels) {
  const Captioned data(3);
  const Epoch plain = run(*train_loader(data, 1, {.no_aug = true}), 0);
  const Epoch eval = run(*make_caption_eval_loader(data, preprocessor(), {.batch_size = 3}), 0);
  const size_t picture = 3 * kSide * kSide;
  for (size_t i = 0; i < plain.pictures.size(); ++i) {
    const auto at = static_cast<size_t>(plain.pictures[i]) * picture;
    EXPECT_TRUE(std::equal(plain.pixels.begin() + static_cast<std::ptrdiff_t>(i * picture),
                           plain.pixels.begin() + static_cast<std::ptrdiff_t>((i + 1) * picture),
                           eval.pixels.begin() + static_cast<std::ptrdiff_t>(at)));
  }
  EXPECT_NE(run(*train_loader(data, 1), 0).pixels, plain.pixels);
}

TEST(CaptionLoader, RefusesWhatMakesNoSense) {
  const Captioned data(3);
  SamplerConfig balanced;
  balanced.sampler = "balanced";
  EXPECT_THAT(usage_error([&] { make_caption_train_loader(data, preprocessor(), {}, balanced, {}, 0); }),
              HasSubstr("sampler: balanced"));
  EXPECT_THAT(usage_error([&] { train_loader(data, 0, {.scale = {1.0, 0.5}}); }), HasSubstr("augment.scale"));
  EXPECT_THAT(usage_error([&] { train_loader(data, 0, {.ratio = {2.0, 0.5}}); }), HasSubstr("augment.ratio"));
  const vit::Preprocessor any_size({vit::ResizeShortest{.size = 8}}, {});
  EXPECT_THAT(usage_error([&] { make_caption_train_loader(data, any_size, {}, {}, {}, 0); }),
              HasSubstr("a size of its own"));
}

}  // namespace
}  // namespace datasets
