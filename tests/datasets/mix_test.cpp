#include "datasets/mix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/errors.h"

namespace datasets {
namespace {

using testing::HasSubstr;

constexpr int64_t kClasses = 5, kHeight = 12, kWidth = 10, kChannels = 3;
constexpr int64_t kPicture = kChannels * kHeight * kWidth;

/// Picture b is the constant b + 1 everywhere: what is mixed in can be read off.
vit::Tensor constant_pictures(int64_t count) {
  vit::Tensor images = vit::Tensor::empty({count, kChannels, kHeight, kWidth});
  for (int64_t b = 0; b < count; ++b) std::fill_n(images.f32() + b * kPicture, kPicture, static_cast<float>(b + 1));
  return images;
}

const std::vector<int64_t> kLabels = {0, 1, 2, 3, 4, 0, 2, 1};

AugmentConfig only(double mixup, double cutmix, const std::string& mode = "batch", double smoothing = 0.0) {
  AugmentConfig config;
  config.mixup = mixup;
  config.cutmix = cutmix;
  config.mixup_mode = mode;
  config.smoothing = smoothing;
  return config;
}

/// The share of its own class that a target row says, of a picture whose partner is of another.
float own_share(const vit::Tensor& targets, int64_t b) {
  return targets.f32()[b * kClasses + kLabels[static_cast<size_t>(b)]];
}

TEST(Mixer, LeavesLabelsAsNumbersWhereNothingIsMixed) {
  const Mixer mixer(only(0, 0), kClasses);
  vit::Tensor images = constant_pictures(8);
  vit::Rng rng(1);
  const vit::Tensor targets = mixer.apply(images, kLabels, 0, rng);
  EXPECT_FALSE(mixer.soft_targets());
  ASSERT_EQ(targets.dtype(), vit::DType::i64);
  for (size_t b = 0; b < kLabels.size(); ++b) EXPECT_EQ(targets.data<int64_t>()[b], kLabels[b]);
}

TEST(Mixer, SmoothsLabels) {
  const Mixer mixer(only(0, 0, "batch", 0.1), kClasses);
  vit::Tensor images = constant_pictures(8);
  vit::Rng rng(1);
  const vit::Tensor targets = mixer.apply(images, kLabels, 0, rng);
  ASSERT_EQ(targets.shape(), (vit::Shape{8, kClasses}));
  for (int64_t b = 0; b < 8; ++b)
    for (int64_t k = 0; k < kClasses; ++k)
      EXPECT_FLOAT_EQ(targets.f32()[b * kClasses + k], k == kLabels[static_cast<size_t>(b)] ? 0.92f : 0.02f);
}

TEST(Mixer, MixupBlendsWithTheReversedBatch) {
  const Mixer mixer(only(1.0, 0), kClasses);
  vit::Tensor images = constant_pictures(8);
  vit::Rng rng(3);
  const vit::Tensor targets = mixer.apply(images, kLabels, 0, rng);
  const float share = own_share(targets, 0);
  EXPECT_GT(share, 0.0f);
  EXPECT_LT(share, 1.0f);
  for (int64_t b = 0; b < 8; ++b) {
    EXPECT_FLOAT_EQ(own_share(targets, b), share) << "one draw for the batch";
    const float expected = static_cast<float>(b + 1) * share + static_cast<float>(8 - b) * (1.0f - share);
    const float* picture = images.f32() + b * kPicture;
    for (int64_t i = 0; i < kPicture; ++i) EXPECT_NEAR(picture[i], expected, 1e-5f);
  }
}

TEST(Mixer, CutmixPastesABoxAndCountsItsArea) {
  for (const char* mode : {"batch", "pair", "elem"}) {
    const Mixer mixer(only(0, 1.0, mode), kClasses);
    vit::Tensor images = constant_pictures(8);
    vit::Rng rng(7);
    const vit::Tensor targets = mixer.apply(images, kLabels, 0, rng);
    for (int64_t b = 0; b < 8; ++b) {
      const float* picture = images.f32() + b * kPicture;
      int64_t own = 0;
      for (int64_t i = 0; i < kHeight * kWidth; ++i) {
        own += picture[i] == static_cast<float>(b + 1) ? 1 : 0;
        EXPECT_TRUE(picture[i] == static_cast<float>(b + 1) || picture[i] == static_cast<float>(8 - b));
        EXPECT_EQ(picture[i], picture[i + kHeight * kWidth]) << "all channels alike";
      }
      EXPECT_FLOAT_EQ(own_share(targets, b), static_cast<float>(own) / (kHeight * kWidth)) << mode << " " << b;
    }
  }
}

TEST(Mixer, PairsShareADrawAndElementsDoNot) {
  vit::Rng rng(11);
  vit::Tensor pairs = constant_pictures(8), elements = constant_pictures(8);
  const vit::Tensor by_pair = Mixer(only(1.0, 0, "pair"), kClasses).apply(pairs, kLabels, 0, rng);
  for (int64_t b = 0; b < 4; ++b) EXPECT_EQ(own_share(by_pair, b), own_share(by_pair, 7 - b));
  EXPECT_NE(own_share(by_pair, 0), own_share(by_pair, 1));
  const vit::Tensor by_element = Mixer(only(1.0, 0, "elem"), kClasses).apply(elements, kLabels, 0, rng);
  EXPECT_NE(own_share(by_element, 0), own_share(by_element, 7));
}

TEST(Mixer, TargetsAreDistributionsInEveryMode) {
  for (const char* mode : {"batch", "pair", "elem"}) {
    const Mixer mixer(only(0.8, 1.0, mode, 0.1), kClasses);
    vit::Rng rng(5);
    for (const int64_t count : {1, 7, 8}) {
      vit::Tensor images = constant_pictures(count);
      const std::vector<int64_t> labels(kLabels.begin(), kLabels.begin() + count);
      const vit::Tensor targets = mixer.apply(images, labels, 0, rng);
      for (int64_t b = 0; b < count; ++b) {
        float sum = 0.0f;
        for (int64_t k = 0; k < kClasses; ++k) sum += targets.f32()[b * kClasses + k];
        EXPECT_NEAR(sum, 1.0f, 1e-6f);
      }
    }
  }
}

TEST(Mixer, StopsMixingButStaysSoft) {
  AugmentConfig config = only(1.0, 0);
  config.mixup_off_epoch = 3;
  const Mixer mixer(config, kClasses);
  EXPECT_TRUE(mixer.mixes(2));
  EXPECT_FALSE(mixer.mixes(3));
  vit::Tensor images = constant_pictures(8);
  vit::Rng rng(3);
  const vit::Tensor targets = mixer.apply(images, kLabels, 3, rng);
  EXPECT_EQ(targets.shape(), (vit::Shape{8, kClasses}));
  EXPECT_EQ(own_share(targets, 2), 1.0f);
  EXPECT_EQ(images.f32()[0], 1.0f);
}

TEST(Mixer, MinmaxBoundsTheBox) {
  AugmentConfig config = only(0, 0, "elem");
  config.cutmix_minmax = {0.3, 0.8};
  const Mixer mixer(config, kClasses);
  vit::Rng rng(13);
  for (int round = 0; round < 20; ++round) {
    vit::Tensor images = constant_pictures(8);
    const vit::Tensor targets = mixer.apply(images, kLabels, 0, rng);
    for (int64_t b = 0; b < 8; ++b) {
      // Sides of 3 to 8 of 12 and 3 to 7 of 10 pixels.
      EXPECT_LE(own_share(targets, b), 1.0f - 9.0f / 120.0f);
      EXPECT_GE(own_share(targets, b), 1.0f - 56.0f / 120.0f);
    }
  }
}

TEST(Mixer, ProbabilityAndSwitching) {
  AugmentConfig config = only(1.0, 1.0, "elem");
  config.mixup_prob = 0.5;
  config.mixup_switch_prob = 0.25;
  const Mixer mixer(config, kClasses);
  vit::Rng rng(17);
  int unmixed = 0, blended = 0, pictures = 0;
  for (int round = 0; round < 500; ++round) {
    vit::Tensor images = constant_pictures(8);
    mixer.apply(images, kLabels, 0, rng);
    for (int64_t b = 0; b < 8; ++b, ++pictures) {
      const float* picture = images.f32() + b * kPicture;
      const std::vector<float> values(picture, picture + kHeight * kWidth);
      const float own = static_cast<float>(b + 1), partner = static_cast<float>(8 - b);
      const auto is_whole = [&](float v) { return v == own || v == partner; };
      if (!is_whole(values[0]))
        ++blended;
      else if (std::count(values.begin(), values.end(), own) == static_cast<int64_t>(values.size()))
        ++unmixed;
    }
  }
  // Binomial with 4000 trials: standard deviations 0.008 and 0.0077. A cut box may be empty, 4 % of the 12.5 %.
  EXPECT_NEAR(unmixed / static_cast<double>(pictures), 0.5, 0.04);
  EXPECT_NEAR(blended / static_cast<double>(pictures), 0.375, 0.04);
}

TEST(Mixer, RefusesLabelsOutsideTheClasses) {
  vit::Tensor images = constant_pictures(1);
  vit::Rng rng(1);
  EXPECT_THAT(vit::test::failure([&] { Mixer(only(0, 0), 3).apply(images, {3}, 0, rng); }), HasSubstr("label of 3"));
}

struct Moments {
  double mean = 0, variance = 0;
};
Moments moments_of_beta(double a, double b) {
  constexpr int kDraws = 40000;
  vit::Rng rng(23);
  double sum = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = random_beta(rng, a, b);
    EXPECT_GE(x, 0.0);
    EXPECT_LE(x, 1.0);
    sum += x;
    squares += x * x;
  }
  const double mean = sum / kDraws;
  return {mean, squares / kDraws - mean * mean};
}

TEST(RandomBeta, HasTheMomentsOfTheDistribution) {
  for (const auto& [a, b] : std::vector<std::pair<double, double>>{{1, 1}, {0.2, 0.2}, {0.8, 0.8}, {2, 5}, {20, 20}}) {
    const Moments moments = moments_of_beta(a, b);
    const double mean = a / (a + b), variance = a * b / ((a + b) * (a + b) * (a + b + 1));
    EXPECT_NEAR(moments.mean, mean, 4 * std::sqrt(variance / 40000)) << a << " " << b;
    EXPECT_NEAR(moments.variance, variance, 0.05 * variance) << a << " " << b;
  }
}

TEST(RandomBeta, SurvivesTinyShapes) {
  vit::Rng rng(29);
  for (int i = 0; i < 2000; ++i) {
    const double x = random_beta(rng, 0.001, 0.001);
    EXPECT_FALSE(std::isnan(x));
  }
}

}  // namespace
}  // namespace datasets
