#include "datasets/corruption.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "datasets/scenes.h"
#include "tests/datasets/pictures.h"
#include "tests/support/errors.h"
#include "vit/core/parallel.h"
#include "vit/image/decode.h"
#include "vit/image/encode.h"
#include "vit/image/resize.h"

namespace datasets {
namespace {

using test::bytes_of;
using test::copy_of;
using test::picture;
using testing::ElementsAre;
using testing::HasSubstr;

/// A scene: objects with sharp edges on a textured background.
vit::Image scene(int64_t side) { return draw_scene(7, 3, side).image; }

vit::Image plain(int64_t height, int64_t width, const std::array<uint8_t, 3>& colour) {
  vit::Image image(height, width);
  for (int64_t i = 0; i < 3 * height * width; ++i) image.row(0)[i] = colour[static_cast<size_t>(i % 3)];
  return image;
}

double squared_error(const vit::Image& a, const vit::Image& b) {
  double sum = 0.0;
  const std::vector<int> left = bytes_of(a), right = bytes_of(b);
  for (size_t i = 0; i < left.size(); ++i) sum += (left[i] - right[i]) * (left[i] - right[i]);
  return sum / static_cast<double>(left.size());
}

struct Moments {
  double mean = 0.0, variance = 0.0;
};
Moments moments_of(const vit::Image& image) {
  Moments moments;
  const std::vector<int> bytes = bytes_of(image);
  const auto count = static_cast<double>(bytes.size());
  for (const int value : bytes) moments.mean += value / count;
  for (const int value : bytes) moments.variance += (value - moments.mean) * (value - moments.mean) / count;
  return moments;
}

double mean_of(const vit::Image& image) { return moments_of(image).mean; }

class EveryCorruption : public testing::TestWithParam<std::string> {};

TEST_P(EveryCorruption, ChangesThePictureAtEverySeverity) {
  for (const int64_t side : {32, 64, 160}) {
    const vit::Image image = scene(side);
    const std::vector<int> before = bytes_of(image);
    for (int64_t severity = 1; severity <= kCorruptionSeverities; ++severity) {
      const vit::Image result = corrupt(image, GetParam(), severity, 1, 0);
      ASSERT_EQ(result.height(), side);
      ASSERT_EQ(result.width(), side);
      EXPECT_GT(squared_error(image, result), 0.5) << side << " " << severity;
    }
    EXPECT_EQ(bytes_of(image), before) << "the picture may be in a cache";
  }
}

TEST_P(EveryCorruption, DependsOnSeedPictureAndSeverityAlone) {
  const vit::Image image = scene(40);
  std::vector<uint64_t> alone(8), together(8);
  for (size_t i = 0; i < alone.size(); ++i)
    alone[i] = test::hash_of(corrupt(image, GetParam(), 3, 5, static_cast<int64_t>(i)));
  vit::parallel_for(
      8, [&](int64_t i) { together[static_cast<size_t>(i)] = test::hash_of(corrupt(image, GetParam(), 3, 5, i)); });
  EXPECT_EQ(alone, together);
  const bool is_random = corruption_registry().find(GetParam()).is_random;
  EXPECT_EQ(std::set<uint64_t>(alone.begin(), alone.end()).size(), is_random ? 8u : 1u);
  EXPECT_EQ(test::hash_of(corrupt(image, GetParam(), 3, 6, 0)) != alone[0], is_random) << "another seed";
  EXPECT_NE(test::hash_of(corrupt(image, GetParam(), 5, 5, 0)), alone[0]) << "another severity";
}

TEST_P(EveryCorruption, TakesPicturesOfAnySize) {
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {1, 7}, {2, 1}, {3, 50}, {47, 2}, {120, 9}})
    for (const int64_t severity : {1, 5}) {
      const vit::Image result = corrupt(picture(height, width), GetParam(), severity, 1, 0);
      EXPECT_EQ(result.height(), height);
      EXPECT_EQ(result.width(), width);
    }
}

TEST_P(EveryCorruption, HasAGroupASummaryAndASource) {
  const CorruptionEntry& entry = corruption_registry().find(GetParam());
  EXPECT_THAT(corruption_groups(), testing::Contains(entry.group));
  EXPECT_FALSE(entry.summary.empty());
  EXPECT_THAT(entry.source, HasSubstr("Hendrycks"));
}

INSTANTIATE_TEST_SUITE_P(All, EveryCorruption, testing::ValuesIn(corruption_families(/*extra=*/true)),
                         [](const auto& parameter) { return parameter.param; });

/// Families whose definition spoils more with every severity. Not so: frost (the pane grows fainter as the picture
/// does), elastic_transform and glass_blur (kinds of spoiling change), saturate (less, then more), spatter (water, then
/// mud), and those whose chance outweighs a step.
class GrowingCorruption : public testing::TestWithParam<const char*> {};

TEST_P(GrowingCorruption, SpoilsMoreWithEverySeverity) {
  for (const int64_t side : {32, 64, 224}) {
    const vit::Image image = scene(side);
    double before = 0.0;
    for (int64_t severity = 1; severity <= kCorruptionSeverities; ++severity) {
      const double error = squared_error(image, corrupt(image, GetParam(), severity, 1, 0));
      EXPECT_GE(error, before) << side << " " << severity;
      before = error;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, GrowingCorruption,
                         testing::Values("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise",
                                         "defocus_blur", "motion_blur", "zoom_blur", "gaussian_blur", "brightness",
                                         "contrast", "pixelate", "jpeg_compression"));

class MeanKeeper : public testing::TestWithParam<const char*> {};

TEST_P(MeanKeeper, KeepsThePicturesMean) {
  for (const int64_t side : {32, 64, 224}) {
    const vit::Image image = scene(side);
    for (int64_t severity = 1; severity <= kCorruptionSeverities; ++severity)
      EXPECT_NEAR(mean_of(corrupt(image, GetParam(), severity, 1, 0)), mean_of(image), 1.0) << side << " " << severity;
  }
}

INSTANTIATE_TEST_SUITE_P(All, MeanKeeper, testing::Values("defocus_blur", "gaussian_blur", "contrast", "pixelate"));

TEST(Corruption, LeavesPlainPicturesPlain) {
  const std::array<uint8_t, 3> colour = {120, 60, 200};
  const vit::Image image = plain(64, 48, colour);
  for (const char* family : {"defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur", "contrast",
                             "elastic_transform", "pixelate"})
    for (const int64_t severity : {1, 3, 5})
      EXPECT_EQ(bytes_of(corrupt(image, family, severity, 1, 0)), bytes_of(image)) << family << " " << severity;
}

TEST(Corruption, NoiseHasItsMoments) {
  const vit::Image grey = plain(224, 224, {128, 128, 128});
  const double x = 128.0 / 255.0, deviations = 5.0 / std::sqrt(3.0 * 224 * 224);  // of an estimated mean, five of them
  // The least severe, of which next to nothing is cut off at black and white.
  Moments moments = moments_of(corrupt(grey, "gaussian_noise", 1, 1, 0));
  EXPECT_NEAR(moments.mean, 128.0, 255.0 * 0.08 * deviations);
  EXPECT_NEAR(std::sqrt(moments.variance) / 255.0, 0.08, 0.08 * deviations);
  moments = moments_of(corrupt(grey, "shot_noise", 1, 1, 0));  // Poisson: variance = mean / photons
  EXPECT_NEAR(moments.mean, 128.0, 255.0 * std::sqrt(x / 60.0) * deviations);
  EXPECT_NEAR(moments.variance / (255.0 * 255.0), x / 60.0, 2.0 * (x / 60.0) * deviations);
  moments = moments_of(corrupt(grey, "speckle_noise", 1, 1, 0));
  EXPECT_NEAR(moments.mean, 128.0, 255.0 * x * 0.15 * deviations);
  EXPECT_NEAR(std::sqrt(moments.variance) / 255.0, x * 0.15, x * 0.15 * deviations);
}

TEST(Corruption, ImpulsesAreSaltAndPepperInEqualParts) {
  const std::vector<int> bytes = bytes_of(corrupt(plain(224, 224, {77, 77, 77}), "impulse_noise", 5, 1, 0));
  const auto count = static_cast<double>(bytes.size());
  double salt = 0.0, pepper = 0.0;
  for (const int value : bytes) {
    salt += value == 255 ? 1.0 : 0.0;
    pepper += value == 0 ? 1.0 : 0.0;
    EXPECT_TRUE(value == 0 || value == 255 || value == 77);
  }
  const double bound = 5.0 * std::sqrt(0.135 * 0.865 / count);
  EXPECT_NEAR(salt / count, 0.135, bound);
  EXPECT_NEAR(pepper / count, 0.135, bound);
}

TEST(Corruption, BlackHasNoShotsAndNoSpeckles) {
  const vit::Image black = plain(32, 32, {0, 0, 0});
  EXPECT_EQ(bytes_of(corrupt(black, "shot_noise", 5, 1, 0)), bytes_of(black));
  EXPECT_EQ(bytes_of(corrupt(black, "speckle_noise", 5, 1, 0)), bytes_of(black));
}

TEST(Corruption, ContrastIsItsFormula) {
  const vit::Image image = picture(130, 150);
  std::array<double, 3> means{};
  const std::vector<int> before = bytes_of(image), after = bytes_of(corrupt(image, "contrast", 2, 1, 0));
  for (size_t i = 0; i < before.size(); ++i) means[i % 3] += before[i] / (130.0 * 150.0);
  for (size_t i = 0; i < before.size(); ++i)
    ASSERT_NEAR(after[i], (before[i] - means[i % 3]) * 0.3 + means[i % 3], 0.501) << i;
}

TEST(Corruption, BrightnessMovesTheValueOfHsv) {
  vit::Image image(1, 4);
  const std::array<uint8_t, 12> bytes = {100, 50, 25, 0, 0, 0, 250, 125, 0, 40, 40, 40};
  std::copy(bytes.begin(), bytes.end(), image.row(0));
  // CIFAR-10-C's severity 4: 0.2 of 255 is 51.
  const std::vector<int> expected = {151, 76, 38, 51, 51, 51, 255, 128, 0, 91, 91, 91};
  const std::vector<int> result = bytes_of(corrupt(image, "brightness", 4, 1, 0));
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(result[i], expected[i], 1) << i;
}

TEST(Corruption, SaturationKeepsValueAndHue) {
  vit::Image image(1, 2);
  const std::array<uint8_t, 6> bytes = {200, 100, 150, 60, 60, 60};
  std::copy(bytes.begin(), bytes.end(), image.row(0));
  EXPECT_EQ(bytes_of(corrupt(image, "saturate", 2, 1, 0)), (std::vector<int>{200, 190, 195, 60, 60, 60}));
  EXPECT_EQ(bytes_of(corrupt(image, "saturate", 3, 1, 0)), (std::vector<int>{200, 50, 125, 60, 60, 60}));
  // 2.5 * 0.5 + 0.2 is more than full; grey turns red by 0.2, as scikit-image gives it hue 0.
  EXPECT_EQ(bytes_of(corrupt(image, "saturate", 5, 1, 0)), (std::vector<int>{200, 0, 100, 60, 48, 48}));
}

TEST(Corruption, PixelatesInBoxes) {
  const vit::Image image = picture(224, 224);
  const vit::Image result = corrupt(image, "pixelate", 5, 1, 0);  // a quarter: blocks of 4 x 4
  for (int64_t y = 0; y < 224; ++y)
    for (int64_t x = 0; x < 224; ++x)
      for (int64_t c = 0; c < 3; ++c)
        ASSERT_EQ(result.row(y)[3 * x + c], result.row(y / 4 * 4)[3 * (x / 4 * 4) + c]) << y << " " << x;
  double sum = 0.0;
  for (int64_t k = 0; k < 16; ++k) sum += image.row(k / 4)[3 * (k % 4)];
  EXPECT_NEAR(result.row(0)[0], sum / 16.0, 1.01) << "rounded twice";
}

TEST(Corruption, CompressesWithItsQuality) {
  const vit::Image image = scene(224);
  const std::string bytes = vit::encode_jpeg(image, 15);
  EXPECT_EQ(bytes_of(corrupt(image, "jpeg_compression", 3, 1, 0)),
            bytes_of(vit::decode_image(std::as_bytes(std::span(bytes)), "expected")));
}

TEST(Corruption, DefocusIsTheMeanOfADisk) {
  vit::Image image = plain(41, 41, {0, 0, 0});
  image.row(20)[3 * 20] = 255;
  // CIFAR-10-C's severity 5, radius 1.5: nine pixels; the smoothing of 0.1 pixels changes nothing.
  const vit::Image result = corrupt(image, "defocus_blur", 5, 1, 0);
  for (int64_t y = 0; y < 41; ++y)
    for (int64_t x = 0; x < 41; ++x) {
      const bool near = std::abs(y - 20) <= 1 && std::abs(x - 20) <= 1;
      EXPECT_EQ(result.row(y)[3 * x], near ? 28 : 0) << y << " " << x;  // 255 / 9
    }
}

TEST(Corruption, FogWhitensWithinThePicturesRange) {
  const vit::Image image = scene(224);
  const std::vector<int> before = bytes_of(image);
  const int brightest = *std::max_element(before.begin(), before.end());
  for (int64_t severity = 1; severity <= kCorruptionSeverities; ++severity) {
    const std::vector<int> after = bytes_of(corrupt(image, "fog", severity, 1, 0));
    EXPECT_LE(*std::max_element(after.begin(), after.end()), brightest) << severity;
  }
}

TEST(Corruption, SnowOnlyBrightens) {
  for (const int64_t side : {32, 64, 160}) {
    const vit::Image image = scene(side);
    const std::vector<int> before = bytes_of(image), after = bytes_of(corrupt(image, "snow", 3, 1, 0));
    for (size_t i = 0; i < before.size(); ++i) ASSERT_GE(after[i], before[i]);
  }
}

TEST(Corruption, FrostAddsItsPane) {
  // On black only the pane is seen; at severity 1 of 224 pixels it has 0.4 of its brightness.
  const vit::Image black = plain(224, 224, {0, 0, 0});
  const std::vector<int> pane = bytes_of(corrupt(black, "frost", 1, 1, 0));
  EXPECT_LE(*std::max_element(pane.begin(), pane.end()), 102);
  EXPECT_GT(mean_of(corrupt(black, "frost", 1, 1, 0)), 30.0);
  EXPECT_GT(moments_of(corrupt(black, "frost", 1, 1, 0)).variance, 100.0) << "it has a texture";
}

TEST(Corruption, GlassMovesColoursAndMakesNone) {
  // CIFAR-10-C's severity 1 blurs nothing: every colour was there before, at most a pixel away.
  const vit::Image image = picture(32, 32), result = corrupt(image, "glass_blur", 1, 1, 0);
  std::set<std::array<int, 3>> colours;
  const auto colour_at = [](const vit::Image& of, int64_t i) {
    const uint8_t* rgb = of.row(0) + 3 * i;
    return std::array<int, 3>{rgb[0], rgb[1], rgb[2]};
  };
  for (int64_t i = 0; i < 32 * 32; ++i) colours.insert(colour_at(image, i));
  for (int64_t i = 0; i < 32 * 32; ++i) EXPECT_TRUE(colours.contains(colour_at(result, i))) << i;
}

TEST(Corruption, ElasticStaysNear) {
  // A ramp of one grey level a pixel says how far its pixels moved: the least at the sharpest severity of 224 pixels.
  vit::Image ramp(224, 224);
  for (int64_t y = 0; y < 224; ++y)
    for (int64_t x = 0; x < 224; ++x)
      for (int64_t c = 0; c < 3; ++c) ramp.row(y)[3 * x + c] = static_cast<uint8_t>(x);
  const vit::Image result = corrupt(ramp, "elastic_transform", 5, 1, 0);
  double moved = 0.0;
  for (int64_t y = 64; y < 160; ++y)
    for (int64_t x = 64; x < 160; ++x) {
      const double distance = std::abs(result.row(y)[3 * x] - static_cast<double>(x));
      EXPECT_LT(distance, 25.0);
      moved += distance;
    }
  EXPECT_GT(moved / (96.0 * 96.0), 0.5);
}

TEST(Corruption, ChoosesItsStrengthByTheShorterSide) {
  const auto scale = [](int64_t height, int64_t width) { return corruption_scale(vit::Image(height, width)); };
  EXPECT_EQ(scale(32, 32), CorruptionScale::cifar10);
  EXPECT_EQ(scale(45, 300), CorruptionScale::cifar10);
  EXPECT_EQ(scale(46, 64), CorruptionScale::tiny_imagenet);
  EXPECT_EQ(scale(400, 119), CorruptionScale::tiny_imagenet);
  EXPECT_EQ(scale(120, 120), CorruptionScale::imagenet);
}

TEST(Corruption, ListsItsFamiliesInThePapersOrder) {
  EXPECT_THAT(corruption_families(),
              ElementsAre("gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur",
                          "zoom_blur", "snow", "frost", "fog", "brightness", "contrast", "elastic_transform",
                          "pixelate", "jpeg_compression"));
  EXPECT_EQ(corruption_families(/*extra=*/true).size(), 19u);
  EXPECT_EQ(named_corruptions({"all"}), corruption_families());
  EXPECT_THAT(named_corruptions({"fog", "blur", "zoom_blur"}),
              ElementsAre("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "fog"));
  EXPECT_THAT(named_corruptions({"extra"}), ElementsAre("speckle_noise", "gaussian_blur", "spatter", "saturate"));
}

TEST(Corruption, RefusesWhatItDoesNotKnow) {
  const vit::Image image = picture(8, 8);
  std::string message = vit::test::usage_error([&] { static_cast<void>(corrupt(image, "frog", 1, 1, 0)); });
  EXPECT_THAT(message, HasSubstr("did you mean 'fog'"));
  EXPECT_THAT(message, HasSubstr("glass_blur"));
  for (const int64_t severity : {0, 6, -1}) {
    message = vit::test::usage_error([&] { static_cast<void>(corrupt(image, "fog", severity, 1, 0)); });
    EXPECT_THAT(message, HasSubstr("severities are 1 to 5, got " + std::to_string(severity)));
  }
  message = vit::test::usage_error([&] { static_cast<void>(named_corruptions({"noise", "blurr"})); });
  EXPECT_THAT(message, HasSubstr("unknown corruption 'blurr' (did you mean 'blur'?)"));
  EXPECT_THAT(message, HasSubstr("jpeg_compression"));
  EXPECT_THAT(vit::test::failure([&] { static_cast<void>(corrupt(vit::Image(), "fog", 1, 1, 0)); }),
              HasSubstr("undefined"));
}

}  // namespace
}  // namespace datasets
