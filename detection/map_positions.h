// Where cells and boxes are, as vectors: the sines and cosines of Deformable DETR (Zhu et al. 2021, after Vaswani et
// al. 2017, section 3.5), and learned ones.
#pragma once

#include <cstdint>

#include "vit/autograd/ops.h"
#include "vit/nn/attention.h"
#include "vit/nn/module.h"

namespace detection {

/// Sines and cosines of the cells' rows (first half of dim) and columns, counted over the cells that are picture and
/// scaled to [0, 2 pi]: (row - 1/2) / (rows + 1e-6) * 2 pi. `mask` boolean [B, grid.height * grid.width] -> f32 [B,
/// grid.height * grid.width, dim]. In padding the original's numbers are as large as the division makes them; they are
/// kept. Errors (usage): dim is no multiple of 4.
vit::Tensor sine_positions(const vit::Tensor& mask, const vit::Grid& grid, int64_t dim);

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
