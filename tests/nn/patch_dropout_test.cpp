// Patch dropout: how many patches stay, that the prefix does, and that every patch has its turn.
#include "vit/nn/patch_dropout.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"

namespace vit {
namespace {

/// Tokens whose values are their numbers: [2, 10, 3].
Tensor numbered() {
  Tensor x = Tensor::empty({2, 10, 3});
  for (int64_t i = 0; i < x.numel(); ++i) x.f32()[i] = static_cast<float>(i / 3 % 10);
  return x;
}

Tensor drop(const PatchDropoutOptions& options, uint64_t seed, bool training = true) {
  Context ctx;
  ctx.training = training;
  ctx.seed = seed;
  return patch_dropout(ctx, numbered(), 2, options).value().clone();
}

TEST(PatchDropout, KeepsThePrefixAndSomePatches) {
  std::set<float> seen;
  std::vector<float> first, second;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Tensor y = drop({.rate = 0.4f}, seed);
    ASSERT_EQ(y.shape(), (Shape{2, 6, 3}));
    for (int64_t b = 0; b < 2; ++b) {
      std::set<float> patches;
      for (int64_t n = 0; n < 6; ++n) {
        const float number = y.f32()[(b * 6 + n) * 3];
        EXPECT_EQ(number, y.f32()[(b * 6 + n) * 3 + 2]);
        if (n < 2) {
          EXPECT_EQ(number, static_cast<float>(n));
        } else {
          patches.insert(number);
        }
        (b == 0 ? first : second).push_back(number);
      }
      EXPECT_EQ(patches.size(), 4u) << "none twice";
      EXPECT_GE(*patches.begin(), 2.0f);
      seen.insert(patches.begin(), patches.end());
    }
  }
  EXPECT_EQ(seen.size(), 8u);
  EXPECT_NE(first, second) << "samples have their own";
}

TEST(PatchDropout, OrderedKeepsTheOrder) {
  bool shuffled = false;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Tensor y = drop({.rate = 0.4f, .ordered = true}, seed), z = drop({.rate = 0.4f}, seed);
    for (int64_t n = 3; n < 6; ++n) {
      EXPECT_GT(y.f32()[n * 3], y.f32()[(n - 1) * 3]);
      shuffled = shuffled || z.f32()[n * 3] < z.f32()[(n - 1) * 3];
    }
  }
  EXPECT_TRUE(shuffled);
}

TEST(PatchDropout, OneStaysAndInferenceKeepsAll) {
  EXPECT_EQ(drop({.rate = 0.99f}, 1).shape(), (Shape{2, 3, 3}));
  EXPECT_TRUE(test::same_bits(drop({.rate = 0.5f}, 1, false), numbered()));
  EXPECT_TRUE(test::same_bits(drop({.rate = 0.0f}, 1), numbered()));
  EXPECT_TRUE(test::same_bits(drop({.rate = 0.5f}, 1), drop({.rate = 0.5f}, 1)));
  EXPECT_THAT(test::failure([] { drop({.rate = 1.0f}, 1); }), testing::HasSubstr("[0, 1)"));
}

}  // namespace
}  // namespace vit
