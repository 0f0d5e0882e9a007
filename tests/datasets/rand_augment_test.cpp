#include "datasets/rand_augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "tests/datasets/pictures.h"
#include "tests/support/errors.h"

namespace datasets {
namespace {

using test::copy_of;
using test::hash_of;
using test::picture;
using testing::HasSubstr;
using vit::test::usage_error;

constexpr Colour kFill = {124, 116, 104};
constexpr int kDraws = 3000;

TEST(ParsePolicy, ReadsTimmsStrings) {
  AugmentPolicy expected;
  expected.magnitude = 9;
  expected.magnitude_std = 0.5;
  expected.increasing = true;
  EXPECT_EQ(parse_policy("rand-m9-mstd0.5-inc1"), expected);
  expected = {};
  expected.magnitude = 7;
  expected.layers = 3;
  expected.probability = 0.7;
  expected.magnitude_max = 20;
  expected.uniform_magnitude = true;
  EXPECT_EQ(parse_policy("rand-m7-n3-p0.7-mmax20-mstd101-inc0"), expected);
  expected = {};
  expected.weighted = expected.increasing = true;
  EXPECT_EQ(parse_policy("rand-tweights"), expected);
  EXPECT_EQ(parse_policy("rand"), AugmentPolicy{});
  EXPECT_EQ(parse_policy("ta_wide")->kind, AugmentPolicy::Kind::kTrivialAugment);
  EXPECT_EQ(parse_policy(""), std::nullopt);
  EXPECT_EQ(parse_policy("none"), std::nullopt);
}

TEST(ParsePolicy, SaysWhatItDoesNotHave) {
  EXPECT_THAT(usage_error([] { parse_policy("augmix-m5"); }), HasSubstr("AugMix"));
  EXPECT_THAT(usage_error([] { parse_policy("original-mstd0.5"); }), HasSubstr("AutoAugment"));
  EXPECT_THAT(usage_error([] { parse_policy("random"); }), HasSubstr("no such policy"));
  for (const char* bad : {"rand-q3", "rand-m", "rand-mx", "rand-n0", "rand-p2", "rand-inc2", "rand-m9x", "rand--m9",
                          "rand-m-5", "rand-n2.5", "rand-t3aw", "rand-m1e999"})
    EXPECT_THAT(usage_error([&] { parse_policy(bad); }), HasSubstr(bad));
}

struct Outcome {
  AugmentOp op;
  double argument;
};

/// Results for one picture, by hash, of ops with any of two filters; the value is the op.
std::map<uint64_t, AugmentOp> results_of(const vit::Image& image, const std::vector<Outcome>& outcomes) {
  std::map<uint64_t, AugmentOp> results;
  for (const Outcome& outcome : outcomes)
    for (const vit::Filter filter : {vit::Filter::kBilinear, vit::Filter::kBicubic}) {
      vit::Image result = copy_of(image);
      apply_augment_op(result, outcome.op, outcome.argument, filter, kFill);
      results.emplace(hash_of(result), outcome.op);
    }
  return results;
}

/// Draws a policy many times; every result must be one of `outcomes`, and each of those must come.
void expect_outcomes(const std::string& policy, const std::vector<Outcome>& outcomes, bool all) {
  const vit::Image image = picture(20, 16);
  const std::map<uint64_t, AugmentOp> results = results_of(image, outcomes);
  const PolicyAugment augment(*parse_policy(policy), kFill, std::nullopt);
  std::map<uint64_t, int> seen;
  vit::Rng rng(5);
  for (int i = 0; i < kDraws; ++i) {
    vit::Image result = copy_of(image);
    augment(result, rng);
    ++seen[hash_of(result)];
  }
  for (const auto& [hash, count] : seen) EXPECT_TRUE(results.contains(hash)) << policy << ", " << count << " times";
  if (all) {
    EXPECT_EQ(seen.size(), results.size()) << policy;
  }
}

// timm's level functions at magnitude 7, worked out by hand; the picture has 20 x 16 pixels.
TEST(RandAugment, HasTimmsOpsAndLevels) {
  std::vector<Outcome> common = {{AugmentOp::kAutoContrast, 0},
                                 {AugmentOp::kEqualize, 0},
                                 {AugmentOp::kInvert, 0},
                                 {AugmentOp::kRotate, 21},
                                 {AugmentOp::kRotate, -21},
                                 {AugmentOp::kPosterize, 2},
                                 {AugmentOp::kSolarizeAdd, 77},
                                 {AugmentOp::kShearX, 0.7 * 0.3},
                                 {AugmentOp::kShearX, -0.7 * 0.3},
                                 {AugmentOp::kShearY, 0.7 * 0.3},
                                 {AugmentOp::kShearY, -0.7 * 0.3},
                                 {AugmentOp::kTranslateX, 0.7 * 0.45 * 16},
                                 {AugmentOp::kTranslateX, -0.7 * 0.45 * 16},
                                 {AugmentOp::kTranslateY, 0.7 * 0.45 * 20},
                                 {AugmentOp::kTranslateY, -0.7 * 0.45 * 20}};
  std::vector<Outcome> plain = common, increasing = common;
  plain.push_back({AugmentOp::kSolarize, 179});
  increasing.push_back({AugmentOp::kSolarize, 77});
  for (const AugmentOp op : {AugmentOp::kColor, AugmentOp::kContrast, AugmentOp::kBrightness, AugmentOp::kSharpness}) {
    plain.push_back({op, 0.7 * 1.8 + 0.1});
    increasing.push_back({op, 1.63});
    increasing.push_back({op, 0.37});
  }
  expect_outcomes("rand-m7-n1-p1", plain, true);
  expect_outcomes("rand-m7-n1-p1-inc1", increasing, true);
  expect_outcomes("rand-m7-n1-p1-tweights", increasing, false);
}

TEST(RandAugment, LayersAreTakenWithProbability) {
  const vit::Image image = picture(12, 12);
  const uint64_t original = hash_of(image);
  const PolicyAugment augment(*parse_policy("rand-m7-n2"), kFill, vit::Filter::kBilinear);
  vit::Rng rng(5);
  int untouched = 0;
  for (int i = 0; i < kDraws; ++i) {
    vit::Image result = copy_of(image);
    augment(result, rng);
    untouched += hash_of(result) == original ? 1 : 0;
  }
  EXPECT_NEAR(untouched / static_cast<double>(kDraws), 0.25, 0.04);
}

TEST(RandAugment, NoiseStaysBelowTheMaximum) {
  // At most 30 degrees at magnitude 10, whatever the noise: a rotation's fill does not reach the middle.
  const PolicyAugment augment(*parse_policy("rand-m10-n1-p1-mstd5"), kFill, vit::Filter::kBilinear);
  vit::Rng rng(9);
  for (int i = 0; i < 500; ++i) {
    vit::Image result = picture(16, 16);
    augment(result, rng);
    EXPECT_EQ(result.height() * result.width(), 256);
  }
}

TEST(TrivialAugment, HasTorchvisionsOpsAndStrengths) {
  std::vector<Outcome> outcomes = {{AugmentOp::kIdentity, 0}, {AugmentOp::kAutoContrast, 0}, {AugmentOp::kEqualize, 0}};
  for (int bin = 0; bin < 31; ++bin) {
    const double part = bin / 30.0;
    outcomes.push_back({AugmentOp::kPosterize, 8 - std::nearbyint(bin / 5.0)});
    outcomes.push_back({AugmentOp::kSolarize, 255 - 255.0 * bin / 30});
    for (const double sign : {-1.0, 1.0}) {
      outcomes.push_back({AugmentOp::kShearX, sign * (0.99 * bin / 30)});
      outcomes.push_back({AugmentOp::kShearY, sign * (0.99 * bin / 30)});
      outcomes.push_back({AugmentOp::kTranslateX, sign * std::trunc(32 * part)});
      outcomes.push_back({AugmentOp::kTranslateY, sign * std::trunc(32 * part)});
      outcomes.push_back({AugmentOp::kRotate, sign * (135.0 * bin / 30)});
      for (const AugmentOp op :
           {AugmentOp::kColor, AugmentOp::kContrast, AugmentOp::kBrightness, AugmentOp::kSharpness})
        outcomes.push_back({op, 1 + sign * (0.99 * bin / 30)});
    }
  }
  expect_outcomes("ta_wide", outcomes, false);
}

}  // namespace
}  // namespace datasets
