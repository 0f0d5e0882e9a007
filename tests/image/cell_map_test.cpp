#include "vit/image/cell_map.h"

#include <gtest/gtest.h>

#include <vector>

namespace vit {
namespace {

Tensor cells(const std::vector<float>& values, int64_t rows, int64_t columns) {
  return Tensor::from(values, {rows, columns});
}

TEST(CellMap, IsBilinearBetweenCentresAndFlatBeyond) {
  const Tensor map = cells_on_picture(cells({0.0f, 8.0f}, 1, 2), {.rows = 1.0, .columns = 2.0}, {1, 8});
  // Centres of the cells are at 2 and 6 of 8 pixels; pixels' centres at 0.5, 1.5, ...
  const std::vector<float> expected = {0, 0, 1, 3, 5, 7, 8, 8};
  for (int64_t x = 0; x < 8; ++x) EXPECT_NEAR(map.f32()[x], expected[static_cast<size_t>(x)], 1e-6) << x;
}

TEST(CellMap, WhatWasCutOffIsZero) {
  // A picture twice as wide as the grid, which lies in its middle.
  const Tensor map = cells_on_picture(cells({5.0f}, 1, 1), {.left = -0.5, .rows = 1.0, .columns = 2.0}, {1, 4});
  const std::vector<float> expected = {0, 5, 5, 0};
  for (int64_t x = 0; x < 4; ++x) EXPECT_EQ(map.f32()[x], expected[static_cast<size_t>(x)]) << x;
}

TEST(CellMap, KnowsWhatPreProcessingShows) {
  const CellWindow all = cell_window(Preprocessor({ResizeTo{.to = {32, 32}}}, {}), {50, 100}, {4, 4});
  EXPECT_DOUBLE_EQ(all.left, 0.0);
  EXPECT_DOUBLE_EQ(all.columns, 4.0);
  EXPECT_DOUBLE_EQ(all.rows, 4.0);
  // 50 x 100 becomes 32 x 64, of which the middle 32 x 32 is seen: columns 25 to 75.
  const CellWindow middle =
      cell_window(Preprocessor({ResizeShortest{.size = 32}, CenterCrop{.to = {32, 32}}}, {}), {50, 100}, {4, 4});
  EXPECT_DOUBLE_EQ(middle.left, -2.0);
  EXPECT_DOUBLE_EQ(middle.columns, 8.0);
  EXPECT_DOUBLE_EQ(middle.top, 0.0);
  EXPECT_DOUBLE_EQ(middle.rows, 4.0);
}

TEST(CellMap, SmoothingKeepsTheSumInside) {
  std::vector<float> values(81, 0.0f);
  values[40] = 1.0f;
  const Tensor smooth = smoothed_cells(cells(values, 9, 9));
  double sum = 0.0;
  for (const float value : smooth.span<float>()) sum += value;
  EXPECT_NEAR(sum, 1.0, 1e-5);
  EXPECT_GT(smooth.f32()[40], smooth.f32()[41]);
  EXPECT_FLOAT_EQ(smooth.f32()[41], smooth.f32()[31]);
}

TEST(CellMap, LargestBecomesOne) {
  Tensor values = cells({0.5f, 2.0f, -1.0f}, 1, 3);
  scale_to_largest(values);
  EXPECT_FLOAT_EQ(values.f32()[0], 0.25f);
  EXPECT_FLOAT_EQ(values.f32()[1], 1.0f);
  EXPECT_FLOAT_EQ(values.f32()[2], 0.0f);
  Tensor none = cells({0.0f, -1.0f}, 1, 2);
  scale_to_largest(none);
  EXPECT_FLOAT_EQ(none.f32()[1], 0.0f);
}

}  // namespace
}  // namespace vit
