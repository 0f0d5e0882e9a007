#include "vit/explain/variants.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/explain/region_subject.h"
#include "tests/support/errors.h"

namespace vit {
namespace {

using testing::HasSubstr;

TEST(Variants, AreScoredInOrderWhateverTheBatch) {
  const test::RegionSubject subject({.top = 1, .left = 1, .height = 2, .width = 2});
  const auto scores = [&](int64_t batch_size) {
    return score_variants(subject, {1, 2, 4, 4}, 7, batch_size, [](int64_t index, float* pixels) {
      for (int64_t i = 0; i < 32; ++i) pixels[i] = static_cast<float>(index);
    });
  };
  EXPECT_EQ(scores(1), (std::vector<double>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(scores(3), scores(1));
  EXPECT_EQ(scores(100), scores(1));
  EXPECT_THAT(test::failure([&] { static_cast<void>(scores(0)); }), HasSubstr("batch_size must be at least 1"));
}

TEST(Variants, MapsReachAllPixels) {
  const Tensor fine = Tensor::from<float>({1, 2, 3, 4}, {2, 2});
  EXPECT_EQ(map_on_pixels(fine, 2, 2).f32(), fine.f32());
  const Tensor wide = map_on_pixels(Tensor::from<float>({0, 8}, {1, 2}), 1, 4);
  EXPECT_EQ(std::vector<float>(wide.f32(), wide.f32() + 4), (std::vector<float>{0, 2, 6, 8}));
  fine.f32()[2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(test::failure([&] { static_cast<void>(map_on_pixels(fine, 4, 4)); }), HasSubstr("not finite"));
}

// Every pixel as the plain two-dimensional sum.
TEST(Variants, BlurIsAGaussian) {
  constexpr int64_t kSide = 9;
  constexpr double kSigma = 1.2;
  const Tensor pixels = Tensor::empty({1, 1, kSide, kSide});
  for (int64_t i = 0; i < kSide * kSide; ++i)
    pixels.f32()[i] = static_cast<float>(std::sin(0.7 * static_cast<double>(i * i)));
  const Tensor blurred = blurred_pixels(pixels, kSigma);
  const auto reach = static_cast<int64_t>(std::ceil(3 * kSigma));
  for (int64_t y = 0; y < kSide; ++y)
    for (int64_t x = 0; x < kSide; ++x) {
      double sum = 0.0, total = 0.0;
      for (int64_t v = -reach; v <= reach; ++v)
        for (int64_t u = -reach; u <= reach; ++u) {
          const double weight = std::exp(-0.5 * static_cast<double>(u * u + v * v) / (kSigma * kSigma));
          const int64_t row = std::clamp<int64_t>(y + v, 0, kSide - 1),
                        column = std::clamp<int64_t>(x + u, 0, kSide - 1);
          sum += weight * static_cast<double>(pixels.f32()[row * kSide + column]);
          total += weight;
        }
      EXPECT_NEAR(blurred.f32()[y * kSide + x], sum / total, 1e-6) << y << ", " << x;
    }
}

TEST(Variants, BlurKeepsWhatIsFlat) {
  const Tensor blurred = blurred_pixels(test::flat_picture(3, 6, 0.75f), 2.0);
  for (const float value : blurred.span<float>()) EXPECT_NEAR(value, 0.75f, 1e-6);
  EXPECT_THAT(test::failure([] { static_cast<void>(blurred_pixels(test::flat_picture(3, 6), 0.0)); }),
              HasSubstr("sigma must be above 0"));
}

}  // namespace
}  // namespace vit
