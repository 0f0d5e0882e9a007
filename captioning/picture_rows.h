// Which captions belong to which picture while words are generated, so that what words look at is not repeated for each
// of a picture's captions.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/core/tensor.h"

namespace captioning {

/// Rows (captions) over the regions of pictures. Neighbouring rows of one picture share its regions as long as every
/// picture has as many rows, which beam search and sampling keep up; else each row gets a copy.
class PictureRows {
 public:
  /// regions [P, M, C]; the first `rows_per_picture` rows are of picture 0. Errors: fewer than one row.
  PictureRows(vit::Tensor regions, int64_t rows_per_picture);

  int64_t rows() const { return static_cast<int64_t>(picture_.size()); }
  /// Row i is of the picture that row parents[i] was of. Errors: a parent that is no row.
  void select(const std::vector<int64_t>& parents);

  /// What the rows look at: [G, M, C], where each group has rows() / G neighbouring rows.
  const vit::Tensor& memory() const { return memory_; }
  int64_t groups() const { return memory_.size(0); }

 private:
  void arrange();

  vit::Tensor regions_, memory_;
  std::vector<int64_t> picture_;  ///< of each row
};

/// Row i of the result is row parents[i] of x [R, ...]. Errors: a parent that is no row.
vit::Tensor selected_rows(const vit::Tensor& x, const std::vector<int64_t>& parents);

}  // namespace captioning
