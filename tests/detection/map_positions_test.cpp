// Position vectors against their formulas in double.
#include "detection/map_positions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "detection/hybrid_encoder.h"
#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"

namespace detection {
namespace {

using vit::Context;
using vit::Tensor;

/// Channel `i` of `count` sines and cosines of an angle.
double wave(double angle, int64_t i, int64_t count) {
  const double scaled = angle / std::pow(10000.0, static_cast<double>(i / 2 * 2) / static_cast<double>(count));
  return i % 2 == 0 ? std::sin(scaled) : std::cos(scaled);
}

TEST(MapPositionsTest, SinesCountTheCellsOfThePicture) {
  const vit::Grid grid{3, 5};
  constexpr int64_t kDim = 12;
  Tensor mask = Tensor::empty({2, 15}, vit::DType::boolean);
  for (int64_t i = 0; i < 30; ++i) mask.data<bool>()[i] = i < 15 || (i - 15 < 10 && i % 5 < 3);  // 2 x 3 of the second
  const Tensor positions = sine_positions(mask, grid, kDim);
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t row = 0; row < (b == 0 ? 3 : 2); ++row)
      for (int64_t col = 0; col < (b == 0 ? 5 : 3); ++col)
        for (int64_t i = 0; i < kDim; ++i) {
          const double rows = b == 0 ? 3 : 2, cols = b == 0 ? 5 : 3;
          const double share = i < kDim / 2 ? (static_cast<double>(row) + 0.5) / (rows + 1e-6)
                                            : (static_cast<double>(col) + 0.5) / (cols + 1e-6);
          EXPECT_NEAR(positions.f32()[((b * 3 + row) * 5 + col) * kDim + i],
                      wave(share * 2 * std::numbers::pi, i % (kDim / 2), kDim / 2), 2e-6)
              << b << " " << row << " " << col << " " << i;
        }
  EXPECT_THROW(sine_positions(mask, grid, 10), vit::Error);
}

TEST(MapPositionsTest, BoxesHaveAQuarterForEachNumber) {
  const Tensor boxes = vit::test::random_tensor({2, 3, 4}, 1);
  const Tensor positions = box_positions(boxes, 8);
  ASSERT_EQ(positions.shape(), vit::Shape({2, 3, 16}));
  for (int64_t i = 0; i < positions.numel(); ++i) {
    const double angle = 2 * std::numbers::pi / (1.0 + std::exp(-static_cast<double>(boxes.f32()[i / 4])));
    EXPECT_NEAR(positions.f32()[i], wave(angle, i % 4, 4), 2e-6) << i;
  }
}

TEST(MapPositionsTest, LearnedOnesAreColumnsThenRows) {
  LearnedPositions learned(6);
  vit::test::fill_leaves(learned);
  std::map<std::string, Tensor> tables;
  learned.visit_parameters([&](const std::string& name, vit::Parameter& p) { tables[name] = p.value.value(); });
  Context ctx;
  const Tensor positions = learned.forward(ctx, {2, 4}).value();
  ASSERT_EQ(positions.shape(), vit::Shape({1, 8, 6}));
  for (int64_t i = 0; i < 48; ++i) {
    const int64_t cell = i / 6, channel = i % 6;
    const float expected = channel < 3 ? tables["column_embeddings.weight"].f32()[cell % 4 * 3 + channel]
                                       : tables["row_embeddings.weight"].f32()[cell / 4 * 3 + channel - 3];
    EXPECT_EQ(positions.f32()[i], expected) << i;
  }
  EXPECT_THROW(learned.forward(ctx, {51, 4}), vit::Error);
}

/// Both orders on a map that is not square: one follows the rows, the published one counts down the columns.
TEST(MapPositionsTest, PublishedPositionsAreTransposed) {
  const vit::Grid grid{2, 3};
  constexpr int64_t kDim = 8;
  for (const bool row_major : {true, false}) {
    const Tensor positions = sincos_positions(grid, kDim, 100.0, row_major);
    for (int64_t token = 0; token < 6; ++token) {
      const int64_t inner = row_major ? grid.width : grid.height;
      for (int64_t k = 0; k < 2; ++k) {
        const double omega = 1.0 / std::pow(100.0, static_cast<double>(k) / 2.0);
        const double first = static_cast<double>(token / inner) * omega;
        const double second = static_cast<double>(token % inner) * omega;
        const float* out = positions.f32() + token * kDim;
        EXPECT_NEAR(out[k], std::sin(first), 1e-6);
        EXPECT_NEAR(out[2 + k], std::cos(first), 1e-6);
        EXPECT_NEAR(out[4 + k], std::sin(second), 1e-6);
        EXPECT_NEAR(out[6 + k], std::cos(second), 1e-6);
      }
    }
  }
  const Tensor square_a = sincos_positions({3, 3}, kDim, 100.0, true);
  const Tensor square_b = sincos_positions({3, 3}, kDim, 100.0, false);
  EXPECT_TRUE(vit::test::same_bits(square_a, square_b));
  EXPECT_THROW(sincos_positions(grid, 6, 100.0, true), vit::Error);
}

}  // namespace
}  // namespace detection
