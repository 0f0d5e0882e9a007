// References and proposals against what their definitions say, cell by cell.
#include "detection/query_references.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/gradient_check.h"

namespace detection {
namespace {

using vit::Context;
using vit::Tensor;
using vit::Var;
using vit::test::random_tensor;

/// A mask whose picture is the upper left valid_h x valid_w of each.
Tensor mask_of(int64_t height, int64_t width, const std::vector<std::array<int64_t, 2>>& pictures) {
  Tensor mask = Tensor::zeros({static_cast<int64_t>(pictures.size()), height, width}, vit::DType::i64);
  for (size_t b = 0; b < pictures.size(); ++b)
    for (int64_t row = 0; row < pictures[b][0]; ++row)
      for (int64_t col = 0; col < pictures[b][1]; ++col)
        mask.data<int64_t>()[(static_cast<int64_t>(b) * height + row) * width + col] = 1;
  return mask;
}

TEST(QueryReferencesTest, InverseSigmoidUndoesTheSigmoidAndKeepsWithinItsBounds) {
  const Tensor x = Tensor::from<float>({0.2f, 0.5f, 0.999f, 0.0f, 1.0f, -3.0f, 7.0f}, {7});
  const Tensor y = inverse_sigmoid(x);
  for (int64_t i = 0; i < 3; ++i) EXPECT_NEAR(1.0f / (1.0f + std::exp(-y.f32()[i])), x.f32()[i], 1e-6f);
  const float bound = std::log(1e5f);
  EXPECT_NEAR(y.f32()[3], -bound, 1e-3f);
  EXPECT_NEAR(y.f32()[4], bound, 1e-3f);
  EXPECT_EQ(y.f32()[5], y.f32()[3]);
  EXPECT_EQ(y.f32()[6], y.f32()[4]);
}

TEST(QueryReferencesTest, PointsMoveCentresAndBoxesAllFourNumbers) {
  Context ctx;
  const Tensor delta = random_tensor({2, 3, 4}, 1), point = random_tensor({2, 3, 2}, 2),
               box = random_tensor({2, 3, 4}, 3);
  const Tensor from_point = refine_boxes(ctx, delta, point).value(), from_box = refine_boxes(ctx, delta, box).value();
  const auto sigmoid = [](float x) { return 1.0f / (1.0f + std::exp(-x)); };
  for (int64_t i = 0; i < delta.numel(); ++i) {
    const float start = i % 4 < 2 ? point.f32()[i / 4 * 2 + i % 4] : 0.0f;
    EXPECT_NEAR(from_point.f32()[i], sigmoid(delta.f32()[i] + start), 1e-6f);
    EXPECT_NEAR(from_box.f32()[i], sigmoid(delta.f32()[i] + box.f32()[i]), 1e-6f);
  }
}

TEST(QueryReferencesTest, MapsSeeThePixelThatNearestInterpolationTakes) {
  const Tensor mask = mask_of(20, 30, {{20, 30}, {13, 17}});
  const vit::Grid grid{3, 4};  // odd ratios: 20 / 3 and 30 / 4 pixels per cell
  const Tensor cells = cell_mask(mask, grid);
  for (int64_t b = 0; b < 2; ++b)
    for (int64_t row = 0; row < 3; ++row)
      for (int64_t col = 0; col < 4; ++col) {
        const int64_t pixel_row = row * 20 / 3, pixel_col = col * 30 / 4;
        const bool expected = b == 0 || (pixel_row < 13 && pixel_col < 17);
        EXPECT_EQ(cells.data<bool>()[(b * 3 + row) * 4 + col], expected) << b << " " << row << " " << col;
      }
  const Tensor ratios = valid_ratios(mask, {grid, {20, 30}});
  const std::vector<float> expected{1, 1, 1, 1, 0.75f, 2.0f / 3.0f, 17.0f / 30.0f, 0.65f};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_FLOAT_EQ(ratios.f32()[i], expected[i]) << i;
}

TEST(QueryReferencesTest, ReferencesAreSpreadOverMapsByWhatIsPictureThere) {
  Context ctx;
  const Tensor reference = random_tensor({2, 3, 4}, 1), ratios = random_tensor({2, 5, 2}, 2);
  const Tensor spread = spread_references(ctx, reference, ratios, 5).value();
  ASSERT_EQ(spread.shape(), vit::Shape({2, 3, 5, 4}));
  for (int64_t i = 0; i < spread.numel(); ++i) {
    const int64_t number = i % 4, level = i / 4 % 5, row = i / 20;
    EXPECT_FLOAT_EQ(spread.f32()[i],
                    reference.f32()[row * 4 + number] * ratios.f32()[(row / 3 * 5 + level) * 2 + number % 2]);
  }
  const Tensor same = spread_references(ctx, reference, {}, 5).value();
  EXPECT_FLOAT_EQ(same.f32()[4], reference.f32()[0]);
}

TEST(QueryReferencesTest, ProposalsAreCellsOfThePictureAndOthersAreNotValid) {
  // 0.5 / 60 is below the margin: the first column and row of the fine map are out.
  const std::vector<vit::Grid> grids{{60, 70}, {3, 2}};
  const Proposals all = cell_proposals(grids, {});
  ASSERT_EQ(all.boxes.shape(), vit::Shape({1, 60 * 70 + 6, 4}));
  const auto box = [](const Proposals& proposals, int64_t i) { return proposals.boxes.f32() + 4 * i; };
  EXPECT_EQ(all.valid.f32()[0], 0.0f);
  EXPECT_EQ(box(all, 0)[0], std::numeric_limits<float>::max());
  const int64_t inner = 7 * 70 + 11;
  EXPECT_EQ(all.valid.f32()[inner], 1.0f);
  const auto logit = [](double share) { return static_cast<float>(std::log(share / (1.0 - share))); };
  EXPECT_NEAR(box(all, inner)[0], logit(11.5 / 70), 1e-5f);
  EXPECT_NEAR(box(all, inner)[1], logit(7.5 / 60), 1e-5f);
  EXPECT_NEAR(box(all, inner)[2], logit(0.05), 1e-5f);
  EXPECT_NEAR(box(all, 60 * 70 + 3)[3], logit(0.1), 1e-5f);

  const Proposals padded = cell_proposals(grids, mask_of(120, 140, {{120, 140}, {60, 70}}));
  const int64_t second = 60 * 70 + 6;
  EXPECT_EQ(padded.valid.f32()[inner], 1.0f);
  EXPECT_NEAR(box(padded, second + inner)[0], logit(11.5 / 35), 1e-5f);
  EXPECT_EQ(padded.valid.f32()[second + 40 * 70 + 11], 0.0f) << "below the picture";
}

TEST(QueryReferencesTest, TheBestRowsComeInOrderAndNaNsLast) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor scores = Tensor::from<float>({1, 3, nan, 3, -2, nan, 0, 9, 9, 9}, {2, 5});
  const Tensor best = best_rows(scores, 4);
  const std::vector<int64_t> expected{1, 3, 0, 4, 2, 3, 4, 1};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(best.data<int64_t>()[i], expected[i]) << i;
  EXPECT_THROW(best_rows(scores, 6), vit::Error);
}

}  // namespace
}  // namespace detection
