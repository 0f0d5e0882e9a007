#include "vit/attention/local_values.h"

#include "vit/autograd/tensor_ops.h"

namespace vit {

Conv2d::Options local_convolution(int64_t dim, int64_t kernel_size) {
  return {.in_channels = dim,
          .out_channels = dim,
          .conv = {.kernel_h = kernel_size, .kernel_w = kernel_size, .padding = kernel_size / 2, .groups = dim}};
}

Var with_local_values(Context& ctx, const Var& mixed, const Conv2d& convolution, const Var& qkv,
                      const AttentionInput& input) {
  const int64_t batch = qkv.size(0), prefix = input.prefix_tokens, tokens = qkv.size(1), dim = qkv.size(2) / 3;
  if (mixed.size(1) <= prefix) return mixed;  // where only prefix tokens are wanted there is nothing to convolve
  const Var values = slice_tokens(ctx, slice_features(ctx, qkv, 2 * dim, 3 * dim), prefix, tokens);
  const Var map = reshape(ctx, values, {batch, input.grid.height, input.grid.width, dim});
  Var near = reshape(ctx, convolution.forward(ctx, map), {batch, tokens - prefix, dim});
  if (prefix > 0) near = concat_tokens(ctx, Tensor::zeros({1, prefix, dim}), near);
  return add(ctx, mixed, slice_tokens(ctx, near, 0, mixed.size(1)));
}

}  // namespace vit
