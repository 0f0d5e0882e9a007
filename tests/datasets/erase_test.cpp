#include "datasets/erase.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace datasets {
namespace {

constexpr vit::Extent kExtent = {40, 30};
constexpr int64_t kPlane = 40 * 30;

/// Untouched pixels are 9, which no fill gives.
std::vector<float> erased(const EraseOptions& options, vit::Rng& rng) {
  std::vector<float> pixels(3 * kPlane, 9.0f);
  random_erase(pixels.data(), kExtent, options, rng);
  return pixels;
}

/// Pixels that were erased, which must be the same in the three channels.
int64_t count_erased(const std::vector<float>& pixels) {
  int64_t count = 0;
  for (int64_t i = 0; i < kPlane; ++i) {
    const bool is_erased = pixels[static_cast<size_t>(i)] != 9.0f;
    for (int64_t c = 1; c < 3; ++c) EXPECT_EQ(pixels[static_cast<size_t>(c * kPlane + i)] != 9.0f, is_erased);
    count += is_erased ? 1 : 0;
  }
  return count;
}

TEST(RandomErase, ErasesARectangleOfTheRightArea) {
  vit::Rng rng(1);
  double smallest = 1, largest = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::vector<float> pixels = erased({.probability = 1.0, .fill = EraseFill::kConst}, rng);
    const double share = static_cast<double>(count_erased(pixels)) / kPlane;
    smallest = std::min(smallest, share);
    largest = std::max(largest, share);
    EXPECT_EQ(*std::min_element(pixels.begin(), pixels.end()), 0.0f);
  }
  // 2 % of 1200 pixels are sides of about 3 to 9: rounding changes the area by up to a sixth.
  EXPECT_NEAR(smallest, 0.02, 0.005);
  EXPECT_NEAR(largest, 1.0 / 3, 0.02);
}

TEST(RandomErase, HappensWithItsProbability) {
  vit::Rng rng(2);
  int happened = 0;
  for (int i = 0; i < 2000; ++i) happened += count_erased(erased({.probability = 0.25}, rng)) > 0 ? 1 : 0;
  EXPECT_NEAR(happened / 2000.0, 0.25, 0.05);
  EXPECT_EQ(count_erased(erased({.probability = 0.0}, rng)), 0);
}

TEST(RandomErase, FillsAsItsModeSays) {
  vit::Rng rng(3);
  const std::vector<float> colour = erased({.probability = 1.0, .fill = EraseFill::kRand}, rng);
  for (int64_t c = 0; c < 3; ++c) {
    std::vector<float> plane(colour.begin() + c * kPlane, colour.begin() + (c + 1) * kPlane);
    std::sort(plane.begin(), plane.end());
    plane.erase(std::unique(plane.begin(), plane.end()), plane.end());
    EXPECT_EQ(plane.size(), 2u) << "9 and one other";
  }
  double sum = 0, squares = 0;
  int64_t count = 0;
  for (int i = 0; i < 200; ++i)
    for (const float value : erased({.probability = 1.0, .fill = EraseFill::kPixel}, rng)) {
      if (value == 9.0f) continue;
      sum += value;
      squares += value * value;
      ++count;
    }
  EXPECT_GT(count, 10000);
  EXPECT_NEAR(sum / static_cast<double>(count), 0.0, 0.03);
  EXPECT_NEAR(squares / static_cast<double>(count), 1.0, 0.03);
}

TEST(RandomErase, SeveralRectanglesShareTheArea) {
  vit::Rng rng(4);
  double mean = 0;
  for (int i = 0; i < 1000; ++i)
    mean += static_cast<double>(count_erased(erased({.probability = 1.0, .count = 4}, rng))) / kPlane / 1000;
  // Half of 2 % + a third, less what overlaps.
  EXPECT_NEAR(mean, 0.17, 0.03);
}

TEST(RandomErase, SurvivesTinyPictures) {
  vit::Rng rng(5);
  std::vector<float> pixel(3, 9.0f);
  for (int i = 0; i < 100; ++i) random_erase(pixel.data(), {1, 1}, {.probability = 1.0}, rng);
  EXPECT_EQ(pixel[0], 9.0f) << "nothing is smaller than the picture";
}

}  // namespace
}  // namespace datasets
