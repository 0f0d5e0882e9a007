#include "datasets/transform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "datasets/color_ops.h"
#include "datasets/corruption.h"
#include "datasets/transform_crop.h"
#include "tests/datasets/pictures.h"
#include "tests/support/errors.h"

namespace datasets {
namespace {

using test::bytes_of;
using test::copy_of;
using test::hash_of;
using test::picture;
using testing::HasSubstr;

vit::Preprocessor preprocessor(int64_t size) {
  vit::TimmPreprocess config;
  config.input_size = {size, size};
  config.crop_pct = 1.0;
  config.interpolation = "bilinear";
  return vit::Preprocessor::timm(config);
}

/// Nothing happens but the crop.
AugmentConfig quiet() {
  AugmentConfig config;
  config.hflip = 0.0;
  config.color_jitter = 0.0;
  return config;
}

TEST(TrainTransform, WithoutAugmentationIsTheModelsPreprocessing) {
  AugmentConfig config;
  config.no_aug = true;
  config.reprob = 1.0;
  config.train_interpolation = "bilinear";
  const vit::Preprocessor preprocess = preprocessor(16);
  const TrainTransform transform(config, preprocess);
  for (const vit::Image& image : {picture(40, 30), picture(20, 33)}) {
    const vit::Tensor expected = preprocess(image);
    std::vector<float> output(3 * 16 * 16);
    vit::Rng rng(1);
    transform.run(image, rng, output.data());
    EXPECT_EQ(std::memcmp(output.data(), expected.raw(), output.size() * sizeof(float)), 0);
  }
}

TEST(TrainTransform, NormalisesWhatItAugmented) {
  AugmentConfig config;
  config.aa = "rand-m9-mstd0.5-inc1";
  const vit::Preprocessor preprocess = preprocessor(16);
  const TrainTransform transform(config, preprocess);
  const vit::Image image = picture(40, 30);
  const vit::Image untouched = copy_of(image);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    vit::Rng a(seed), b(seed);
    std::vector<float> output(3 * 16 * 16), expected(output.size());
    transform.run(image, a, output.data());
    vit::Preprocessor({}, preprocess.to_float()).run(transform.augmented(image, b), expected.data());
    EXPECT_EQ(output, expected);
  }
  EXPECT_EQ(bytes_of(image), bytes_of(untouched)) << "the picture may be in a cache";
}

TEST(TrainTransform, PadsAndCropsAsForCifar) {
  AugmentConfig config = quiet();
  config.crop_padding = 4;
  const TrainTransform transform(config, preprocessor(32));
  const vit::Image image = picture(32, 32);
  std::set<uint64_t> windows, seen;
  for (int64_t top = -4; top <= 4; ++top)
    for (int64_t left = -4; left <= 4; ++left) windows.insert(hash_of(crop_padded(image, {top, left, 32, 32})));
  vit::Rng rng(1);
  for (int i = 0; i < 1500; ++i) seen.insert(hash_of(transform.augmented(image, rng)));
  EXPECT_EQ(windows.size(), 81u);
  EXPECT_EQ(seen, windows);
}

TEST(TrainTransform, FlipsWithItsProbabilities) {
  AugmentConfig config = quiet();
  config.scale = {1.0, 1.0};
  config.ratio = {1.0, 1.0};
  config.hflip = 0.25;
  config.vflip = 1.0;
  const TrainTransform transform(config, preprocessor(24));
  const vit::Image image = picture(24, 24);
  vit::Image flipped = copy_of(image);
  flip_vertical(flipped);
  vit::Image both = copy_of(flipped);
  flip_horizontal(both);
  vit::Rng rng(1);
  int mirrored = 0;
  for (int i = 0; i < 2000; ++i) {
    const uint64_t hash = hash_of(transform.augmented(image, rng));
    EXPECT_TRUE(hash == hash_of(flipped) || hash == hash_of(both));
    mirrored += hash == hash_of(both) ? 1 : 0;
  }
  EXPECT_NEAR(mirrored / 2000.0, 0.25, 0.05);
}

TEST(TrainTransform, CropsKeepingTheRatio) {
  for (const char* mode : {"rkrc", "rkrr"}) {
    AugmentConfig config = quiet();
    config.train_crop_mode = mode;
    const TrainTransform random(config, preprocessor(20));
    vit::Rng rng(3);
    std::set<uint64_t> seen;
    for (int i = 0; i < 50; ++i) {
      const vit::Image result = random.augmented(picture(33, 47), rng);
      ASSERT_EQ(result.height(), 20);
      ASSERT_EQ(result.width(), 20);
      seen.insert(hash_of(result));
    }
    EXPECT_GT(seen.size(), 10u) << mode;
  }
  // Without jitter rkrc is the evaluation's centre crop.
  AugmentConfig config = quiet();
  config.train_crop_mode = "rkrc";
  config.scale = {1.0, 1.0};
  config.ratio = {1.0, 1.0};
  config.train_interpolation = "bilinear";
  vit::Rng rng(3);
  const vit::Image image = picture(40, 60);
  EXPECT_EQ(bytes_of(TrainTransform(config, preprocessor(20)).augmented(image, rng)),
            bytes_of(preprocessor(20).resized(image)));
}

TEST(TrainTransform, JittersBrightnessContrastAndSaturation) {
  AugmentConfig config = quiet();
  config.scale = {1.0, 1.0};
  config.ratio = {1.0, 1.0};
  config.color_jitter = 0.4;
  vit::Image grey = picture(12, 12);
  to_grayscale(grey);
  vit::Rng rng(5);
  const TrainTransform jitter(config, preprocessor(12));
  std::set<uint64_t> seen;
  for (int i = 0; i < 50; ++i) {
    const vit::Image result = jitter.augmented(grey, rng);
    seen.insert(hash_of(result));
    for (int64_t p = 0; p < 144; ++p) {
      EXPECT_EQ(result.row(0)[3 * p], result.row(0)[3 * p + 1]) << "grey stays grey";
      EXPECT_EQ(result.row(0)[3 * p], result.row(0)[3 * p + 2]);
    }
  }
  EXPECT_GT(seen.size(), 40u);
  config.aa = "rand-m0-n1-p0";
  EXPECT_EQ(hash_of(TrainTransform(config, preprocessor(12)).augmented(grey, rng)), hash_of(grey)) << "off under aa";
  config.force_color_jitter = true;
  EXPECT_NE(hash_of(TrainTransform(config, preprocessor(12)).augmented(grey, rng)), hash_of(grey));
  config.color_jitter = 0.0;
  config.hue = 0.5;
  const vit::Image coloured = picture(12, 12);
  EXPECT_NE(hash_of(TrainTransform(config, preprocessor(12)).augmented(coloured, rng)), hash_of(coloured));
}

TEST(TrainTransform, SpoilsPicturesAsItsConfigurationSays) {
  AugmentConfig config = quiet();
  config.scale = {1.0, 1.0};
  config.ratio = {1.0, 1.0};
  config.corruptions = CorruptionAugmentConfig{.families = {"contrast"}, .severity = {2, 2}, .probability = 0.3};
  const TrainTransform transform(config, preprocessor(24));
  const vit::Image image = picture(24, 24), untouched = copy_of(image);
  vit::Rng rng(1);
  const vit::Image spoilt = corrupt(image, "contrast", 2, rng);
  int count = 0;
  for (int i = 0; i < 2000; ++i) {
    const uint64_t hash = hash_of(transform.augmented(image, rng));
    EXPECT_TRUE(hash == hash_of(image) || hash == hash_of(spoilt));
    count += hash == hash_of(spoilt) ? 1 : 0;
  }
  EXPECT_NEAR(count / 2000.0, 0.3, 0.05);
  EXPECT_EQ(bytes_of(image), bytes_of(untouched)) << "the picture may be in a cache";
  config.no_aug = true;
  EXPECT_EQ(hash_of(TrainTransform(config, preprocessor(24)).augmented(image, rng)), hash_of(image));
}

TEST(TrainTransform, DrawsFamilyAndSeverity) {
  AugmentConfig config = quiet();
  config.scale = {1.0, 1.0};
  config.ratio = {1.0, 1.0};
  config.corruptions = CorruptionAugmentConfig{.families = {"contrast", "brightness"}, .severity = {2, 4}};
  config.corruptions->probability = 1.0;
  const TrainTransform transform(config, preprocessor(24));
  const vit::Image image = picture(24, 24);
  std::set<uint64_t> expected, seen;
  for (const char* family : {"contrast", "brightness"})
    for (int64_t severity = 2; severity <= 4; ++severity)
      expected.insert(hash_of(corrupt(image, family, severity, 1, 0)));
  for (uint64_t seed = 0; seed < 100; ++seed) {
    vit::Rng first(seed), again(seed);
    const uint64_t hash = hash_of(transform.augmented(image, first));
    EXPECT_EQ(hash, hash_of(transform.augmented(image, again)));
    seen.insert(hash);
  }
  EXPECT_EQ(expected.size(), 6u);
  EXPECT_EQ(seen, expected);
}

TEST(TrainTransform, NeedsOneSizeForAll) {
  const vit::Preprocessor any_size({vit::ResizeShortest{.size = 20}}, {});
  EXPECT_THAT(vit::test::usage_error([&] { TrainTransform(AugmentConfig{}, any_size); }), HasSubstr("set img_size"));
  EXPECT_THAT(vit::test::usage_error([&] { EvalTransform{any_size}; }), HasSubstr("set img_size"));
}

TEST(AugmentConfig, ReadsTimmsNamesAndRefusesNonsense) {
  const auto read = [](const char* text) {
    return vit::read_config<AugmentConfig>(vit::ConfigNode::parse(text, "train.yaml"));
  };
  const AugmentConfig config = read("{aa: rand-m9-mstd0.5-inc1, scale: [0.2, 1], mixup: 0.8, cutmix_minmax: null}");
  EXPECT_EQ(config.aa, "rand-m9-mstd0.5-inc1");
  EXPECT_EQ((*config.scale)[0], 0.2);
  EXPECT_TRUE(config.mixes());
  EXPECT_THAT(vit::test::usage_error([&] { read("{mixupp: 1}"); }), HasSubstr("mixup"));
  EXPECT_THAT(vit::test::usage_error([&] { read("{scale: [1, 0.2]}"); }), HasSubstr("smallest, largest"));
  EXPECT_THAT(vit::test::usage_error([&] { read("{scale: [0.5, 1.5]}"); }), HasSubstr("at most the whole"));
  EXPECT_THAT(vit::test::usage_error([&] { read("{aa: augmix}"); }), HasSubstr("AugMix"));
  EXPECT_THAT(vit::test::usage_error([&] { read("{aa: ta_wide, train_interpolation: lanczos}"); }),
              HasSubstr("not to lanczos"));
  EXPECT_THAT(vit::test::usage_error([&] { read("{mixup_mode: half}"); }), HasSubstr("half"));
}

TEST(AugmentConfig, ReadsCorruptions) {
  const auto read = [](const char* text) {
    return vit::read_config<AugmentConfig>(vit::ConfigNode::parse(text, "train.yaml"));
  };
  EXPECT_FALSE(read("{}").corruptions.has_value());
  const AugmentConfig config = read("{corruptions: {families: [noise, fog], severity: [2, 5], probability: 0.25}}");
  ASSERT_TRUE(config.corruptions.has_value());
  EXPECT_EQ(config.corruptions->families, (std::vector<std::string>{"noise", "fog"}));
  EXPECT_EQ(config.corruptions->severity[1], 5);
  std::string message = vit::test::usage_error([&] { read("{corruptions: {families: [noise, frog]}}"); });
  EXPECT_THAT(message, HasSubstr("train.yaml:1"));
  EXPECT_THAT(message, HasSubstr("unknown corruption 'frog' (did you mean 'fog'?)"));
  EXPECT_THAT(message, HasSubstr("jpeg_compression"));
  EXPECT_THAT(vit::test::usage_error([&] { read("{corruptions: {families: []}}"); }), HasSubstr("at least one"));
  EXPECT_THAT(vit::test::usage_error([&] { read("{corruptions: {severity: [0, 3]}}"); }), HasSubstr("severity"));
  EXPECT_THAT(vit::test::usage_error([&] { read("{corruptions: {severity: [4, 3]}}"); }), HasSubstr("least, greatest"));
  EXPECT_THAT(vit::test::usage_error([&] { read("{corruptions: {familys: [fog]}}"); }), HasSubstr("families"));
}

}  // namespace
}  // namespace datasets
