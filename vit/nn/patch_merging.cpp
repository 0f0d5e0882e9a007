#include "vit/nn/patch_merging.h"

#include "vit/autograd/tensor_ops.h"

namespace vit {

PatchMerging::PatchMerging(int64_t dim, int64_t out_dim, float norm_eps)
    : norm_(NormKind::layer_norm, 4 * dim, norm_eps), reduction_(4 * dim, out_dim, false) {
  add_module("norm", norm_);
  add_module("reduction", reduction_);
}

Var PatchMerging::forward(Context& ctx, const Var& x, Grid& grid) const {
  const Grid half{(grid.height + 1) / 2, (grid.width + 1) / 2};
  Tensor index = Tensor::empty({4 * half.count()}, DType::i64);
  int64_t* at = index.data<int64_t>();
  for (int64_t i = 0; i < half.height; ++i)
    for (int64_t j = 0; j < half.width; ++j)
      for (int64_t neighbour = 0; neighbour < 4; ++neighbour) {
        const int64_t row = 2 * i + neighbour % 2, column = 2 * j + neighbour / 2;
        *at++ = row < grid.height && column < grid.width ? row * grid.width + column : -1;
      }
  const Var gathered = gather_tokens(ctx, x, index);
  grid = half;
  const Var cells = reshape(ctx, gathered, {x.size(0), half.count(), 4 * x.size(2)});
  return reduction_.forward(ctx, norm_.forward(ctx, cells));
}

}  // namespace vit
