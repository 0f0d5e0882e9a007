// Position vectors against their formulas in double.
#include "detection/map_positions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "detection/hybrid_encoder.h"
#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"
#include "tests/support/model_gradients.h"
#include "vit/core/rng.h"

namespace detection {
namespace {

using vit::Context;
using vit::Tensor;

/// Channel `i` of `count` sines and cosines of an angle.
double wave(double angle, int64_t i, int64_t count) {
  const int64_t even = i / 2 * 2;
  const double scaled = angle / std::pow(10000.0, static_cast<double>(even) / static_cast<double>(count));
  return i % 2 == 0 ? std::sin(scaled) : std::cos(scaled);
}

/// The definition, one number at a time, in double.
double defined(const vit::Grid& grid, const bool* picture, int64_t cell, int64_t channel, int64_t dim, double offset) {
  const int64_t half = dim / 2, y = cell / grid.width, x = cell % grid.width, i = channel % half;
  const auto is_picture = [&](int64_t row, int64_t col) { return !picture || picture[row * grid.width + col]; };
  double before = 0.0, total = 0.0;
  for (int64_t k = 0; k < (channel < half ? grid.height : grid.width); ++k) {
    const bool here = channel < half ? is_picture(k, x) : is_picture(y, k);
    total += here;
    if (k <= (channel < half ? y : x)) before += here;
  }
  return wave((before - offset) / (total + 1e-6) * 2.0 * std::numbers::pi, i, half);
}

class SinePositionsTest : public testing::TestWithParam<float> {};

TEST_P(SinePositionsTest, AreWhatTheyAreDefinedAs) {
  const vit::Grid grid{5, 7};
  constexpr int64_t kDim = 16;
  // A picture at the corner, as padding leaves it; and one with holes, whose every row and column has a cell.
  Tensor masks = Tensor::empty({2, grid.count()}, vit::DType::boolean);
  vit::Rng rng(3);
  for (int64_t i = 0; i < grid.count(); ++i) {
    const int64_t y = i / grid.width, x = i % grid.width;
    masks.data<bool>()[i] = y < 4 && x < 5;
    masks.data<bool>()[grid.count() + i] = x == y || x + 1 == grid.width || y == 0 || rng.next_u32() % 3 != 0;
  }
  const SinePositionOptions options{.dim = kDim, .offset = GetParam()};
  const Tensor positions = sine_positions(grid, masks, options), whole = sine_positions(grid, {}, options);
  ASSERT_EQ(positions.shape(), (vit::Shape{2, grid.count(), kDim}));
  ASSERT_EQ(whole.shape(), (vit::Shape{1, grid.count(), kDim}));
  for (int64_t cell = 0; cell < grid.count(); ++cell)
    for (int64_t c = 0; c < kDim; ++c) {
      EXPECT_NEAR(whole.f32()[cell * kDim + c], defined(grid, nullptr, cell, c, kDim, options.offset), 2e-6);
      for (int64_t b = 0; b < 2; ++b) {
        const bool* picture = masks.data<bool>() + b * grid.count();
        if (!picture[cell]) continue;  // in padding a division by almost nothing magnifies rounding
        EXPECT_NEAR(positions.f32()[(b * grid.count() + cell) * kDim + c],
                    defined(grid, picture, cell, c, kDim, options.offset), 2e-6);
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Offsets, SinePositionsTest, testing::Values(0.0f, 0.5f));

TEST(SinePositions, NeedFourChannels) {
  EXPECT_THAT(vit::test::usage_error([] { sine_positions({2, 2}, {}, {.dim = 6}); }), testing::HasSubstr("got 6"));
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
      const int64_t inner = row_major ? grid.width : grid.height, outer = token / inner;
      for (int64_t k = 0; k < 2; ++k) {
        const double omega = 1.0 / std::pow(100.0, static_cast<double>(k) / 2.0);
        const double first = static_cast<double>(outer) * omega;
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
