// Where cells and boxes are, as vectors: the sines and cosines of DETR (Carion et al. 2020, section A.4, after Vaswani
// et al. 2017, section 3.5) and Deformable DETR (Zhu et al. 2021), and learned ones.
#pragma once

#include <cstdint>

#include "vit/autograd/ops.h"
#include "vit/nn/attention.h"
#include "vit/nn/module.h"

namespace detection {

struct SinePositionOptions {
  int64_t dim = 256;  ///< C, divisible by 4: half for rows, half for columns
  /// What is taken from a cell's number before it is divided by the picture's extent: 0 in DETR, 0.5 in Deformable
  /// DETR.
  float offset = 0.0f;
};

/// f32 [1 or B, grid.height * grid.width, C]. `picture`, boolean [B, cells], says which cells are picture, undefined:
/// all. Row i of n (of the cells above it that are picture, itself included) is at 2 pi (i - offset) / (n + 1e-6); the
/// first half of the channels is the row, the second the column. In
/// padding the original's numbers are as large as the division makes them; they are kept. Errors (usage): dim is not
/// divisible by 4.
vit::Tensor sine_positions(const vit::Grid& grid, const vit::Tensor& picture, const SinePositionOptions& options);

/// Sines and cosines of boxes [B, Q, 4] given before their sigmoid -> [B, Q, 2 * dim], dim / 2 for each number.
vit::Tensor box_positions(const vit::Tensor& boxes, int64_t dim);

/// A learned vector for each column and each row, of up to 50. Parameters: row_embeddings.weight and
/// column_embeddings.weight [50, dim / 2].
class LearnedPositions : public vit::Module {
 public:
  explicit LearnedPositions(int64_t dim);
  /// [1, grid.height * grid.width, dim]: columns, then rows. Errors: a map of more than 50 rows or columns.
  vit::Var forward(vit::Context& ctx, const vit::Grid& grid) const;

 private:
  vit::Parameter rows_, columns_;
};

}  // namespace detection
