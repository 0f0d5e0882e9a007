#include "vit/explain/map_similarity.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "vit/core/rng.h"

namespace vit {
namespace {

using testing::HasSubstr;

/// By counting: a rank is how many are smaller, plus half of how many others are equal.
std::vector<double> counted_ranks(const std::vector<double>& values) {
  std::vector<double> result;
  for (const double value : values) {
    double rank = 0.5;
    for (const double other : values) rank += other < value ? 1.0 : (other == value ? 0.5 : 0.0);
    result.push_back(rank);
  }
  return result;
}

double plain_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  double sa = 0, sb = 0, sab = 0, saa = 0, sbb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sa += a[i];
    sb += b[i];
    sab += a[i] * b[i];
    saa += a[i] * a[i];
    sbb += b[i] * b[i];
  }
  return (n * sab - sa * sb) / std::sqrt((n * saa - sa * sa) * (n * sbb - sb * sb));
}

TEST(MapSimilarity, SpearmanIsTheCorrelationOfRanksWithTies) {
  Rng rng(5);
  std::vector<double> a, b;
  for (int i = 0; i < 60; ++i) {
    a.push_back(static_cast<double>(rng.next_u32() % 7));
    b.push_back(a.back() + static_cast<double>(rng.next_u32() % 9));
  }
  EXPECT_NEAR(spearman(a, b), plain_correlation(counted_ranks(a), counted_ranks(b)), 1e-12);
  EXPECT_NEAR(spearman({1, 2, 3, 4, 5}, {5, 6, 7, 8, 7}), 0.8207826816681233, 1e-12);  // scipy.stats.spearmanr
}

TEST(MapSimilarity, SpearmanSeesOrderAlone) {
  EXPECT_DOUBLE_EQ(spearman({1, 2, 3}, {1, 10, 1000}), 1.0);
  EXPECT_DOUBLE_EQ(spearman({1, 2, 3}, {3, 2, 1}), -1.0);
  EXPECT_TRUE(std::isnan(spearman({1, 1, 1}, {1, 2, 3})));
  EXPECT_TRUE(std::isnan(spearman({}, {})));
  EXPECT_THAT(test::failure([] { static_cast<void>(spearman({1}, {1, 2})); }), HasSubstr("1 and 2 values"));
}

Tensor random_map(int64_t rows, int64_t columns, uint64_t seed) {
  Tensor map = Tensor::empty({rows, columns});
  Rng rng(seed);
  fill_uniform(map, rng, 0.0f, 1.0f);
  map.f32()[0] = 0.0f;  // already scaled to 0 to 1
  map.f32()[1] = 1.0f;
  return map;
}

TEST(MapSimilarity, StructuralSimilarityIsTheMeanOverWindows) {
  const Tensor a = random_map(9, 10, 1), b = random_map(9, 10, 2);
  double total = 0.0;
  for (int64_t top = 0; top <= 2; ++top)
    for (int64_t left = 0; left <= 3; ++left) {
      double ma = 0, mb = 0, va = 0, vb = 0, cov = 0;
      const auto each = [&](const auto& body) {
        for (int64_t y = top; y < top + 7; ++y)
          for (int64_t x = left; x < left + 7; ++x)
            body(static_cast<double>(a.f32()[y * 10 + x]), static_cast<double>(b.f32()[y * 10 + x]));
      };
      each([&](double p, double q) {
        ma += p / 49;
        mb += q / 49;
      });
      each([&](double p, double q) {
        va += (p - ma) * (p - ma) / 49;
        vb += (q - mb) * (q - mb) / 49;
        cov += (p - ma) * (q - mb) / 49;
      });
      total += (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4));
    }
  EXPECT_NEAR(structural_similarity(a, b), total / 12.0, 1e-10);
  EXPECT_NEAR(structural_similarity(a, a), 1.0, 1e-12);
}

TEST(MapSimilarity, StructuralSimilaritySeesNoScale) {
  const Tensor a = random_map(3, 12, 4), b = a.clone();
  for (float& value : b.span<float>()) value = 8.0f * value - 4.0f;
  EXPECT_NEAR(structural_similarity(a, b), 1.0, 1e-6);
  EXPECT_THAT(test::failure([&] { static_cast<void>(structural_similarity(a, random_map(4, 9, 1))); }),
              HasSubstr("[3, 12] and [4, 9]"));
}

TEST(MapSimilarity, SaysWhatItMeans) {
  const Tensor map = random_map(6, 6, 1), other = random_map(6, 6, 2), flat = Tensor::zeros({6, 6});
  const SanityCheck same = compare_maps(map, map, 12, 12);
  EXPECT_NEAR(same.spearman, 1.0, 1e-12);
  EXPECT_THAT(same.verdict, HasSubstr("unchanged by random weights: does not show what the model learnt"));
  EXPECT_EQ(compare_maps(map, other, 12, 12).verdict, "changes with the weights");
  EXPECT_THAT(compare_maps(map, flat, 12, 12).verdict, HasSubstr("empty with random ones"));
  EXPECT_THAT(compare_maps(flat, map, 12, 12).verdict, HasSubstr("shows nothing"));
  EXPECT_TRUE(std::isnan(compare_maps(flat, map, 12, 12).spearman));
  const Tensor mixed = map.clone();
  for (int64_t i = 0; i < 36; ++i) mixed.f32()[i] += 1.5f * other.f32()[i];
  const SanityCheck half = compare_maps(map, mixed, 6, 6);
  EXPECT_GE(half.spearman, kDoubtfulCorrelation);
  EXPECT_LT(half.spearman, kUnchangedCorrelation);
  EXPECT_THAT(half.verdict, HasSubstr("hardly changed"));
}

TEST(MapSimilarity, MapsOfOtherGridsMeetOnThePixels) {
  const Tensor coarse = Tensor::from<float>({0, 1}, {1, 2}), fine = Tensor::from<float>({0, 0.5f, 1, 1.5f}, {1, 4});
  EXPECT_NEAR(compare_maps(coarse, fine, 2, 4).spearman, 1.0, 1e-12);
}

// The sign of a gradient of random weights says nothing: a map turned over shows the same.
TEST(CompareMaps, OfSignedMapsSizesCount) {
  Tensor map = Tensor::empty({4, 4}), turned = Tensor::empty({4, 4}), mixed = Tensor::empty({4, 4});
  for (int64_t i = 0; i < 16; ++i) {
    map.f32()[i] = static_cast<float>(i) - 7.5f;
    turned.f32()[i] = -map.f32()[i];
    mixed.f32()[i] = (i * 7 % 3 == 0 ? -1.0f : 1.0f) * map.f32()[i];
  }
  EXPECT_EQ(compare_maps(map, turned, 4, 4).verdict, "changes with the weights");
  EXPECT_THAT(compare_maps(map, turned, 4, 4, true).verdict, HasSubstr("unchanged by random weights"));
  EXPECT_NEAR(compare_maps(map, mixed, 4, 4, true).spearman, 1.0, 1e-12) << "equal sizes";
}

}  // namespace
}  // namespace vit
