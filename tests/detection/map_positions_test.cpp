// Sines and cosines of cells against their definition, and learned positions.
#include "detection/map_positions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "tests/support/errors.h"
#include "vit/core/rng.h"

namespace detection {
namespace {

using vit::Tensor;

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
  const double angle = (before - offset) / (total + 1e-6) * 2.0 * std::numbers::pi;
  const double wave = std::pow(10000.0, static_cast<double>(i / 2 * 2) / static_cast<double>(half));
  return i % 2 == 0 ? std::sin(angle / wave) : std::cos(angle / wave);
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

}  // namespace
}  // namespace detection
