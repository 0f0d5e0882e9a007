#include "vit/attention/bilinear.h"

#include "vit/autograd/map_ops.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

Conv2d::Options full_side(int64_t block, int64_t groups, bool rows) {
  return {.in_channels = groups,
          .out_channels = block * block * groups,
          .conv = {.kernel_h = rows ? block : 1, .kernel_w = rows ? 1 : block}};
}

/// What `extent` lacks to be a multiple of `block`.
int64_t missing(int64_t extent, int64_t block) { return (block - extent % block) % block; }

}  // namespace

BilinearTransform::BilinearTransform(int64_t channels, int64_t block_size, int64_t groups, Activation activation)
    : channels_(channels),
      block_(block_size),
      groups_(groups),
      activation_(activation),
      conv1_({.conv = unbiased(channels, groups)}),
      conv_p_(full_side(block_size, groups, true)),
      conv_q_(full_side(block_size, groups, false)),
      conv2_({.conv = unbiased(channels, channels)}) {
  if (channels % groups != 0)
    fail_usage("bilinear: ", channels, " channels cannot be divided into ", groups, " groups");
  add_module("conv1", conv1_);
  add_module("conv_p", conv_p_);
  add_module("conv_q", conv_q_);
  add_module("conv2", conv2_);
}

Var BilinearTransform::matrices(Context& ctx, const Conv2d& conv, const Var& maxima, int64_t sum_axis) const {
  const int64_t batch = maxima.size(0);
  const Var raw = reshape(ctx, conv.forward(ctx, maxima, Activation::sigmoid), {batch, groups_, block_, block_});
  return divide(ctx, raw, sum(ctx, raw, {sum_axis}, true));
}

Var BilinearTransform::forward(Context& ctx, const Var& x) const {
  const Border more{.bottom = missing(x.size(1), block_), .right = missing(x.size(2), block_)};
  const bool padded = more.bottom > 0 || more.right > 0;
  const auto widened = [&](const Var& map) { return padded ? pad_map(ctx, map, more) : map; };
  const int64_t batch = x.size(0), height = x.size(1) + more.bottom, width = x.size(2) + more.right;
  const int64_t rows = height / block_, cols = width / block_, depth = channels_ / groups_;
  const Var squeezed = widened(conv1_.forward(ctx, x, activation_));
  const Var by_rows = amax(ctx, reshape(ctx, squeezed, {batch, block_, rows * width, groups_}), {2}, true);
  const Var by_cols = amax(ctx, reshape(ctx, squeezed, {batch, height, block_, cols, groups_}), {1, 3});
  const Var p = matrices(ctx, conv_p_, by_rows, 3);
  const Var q = matrices(ctx, conv_q_, reshape(ctx, by_cols, {batch, 1, block_, groups_}), 2);
  if (ctx.wants("row_probs")) ctx.observe("row_probs", p.value());
  if (ctx.wants("column_probs")) ctx.observe("column_probs", q.value());

  // The block matrices act on blocks, whatever lies inside them: two products with the rest of the map as columns.
  Var y = permute(ctx, reshape(ctx, widened(x), {batch, height, width, groups_, depth}), {0, 3, 1, 2, 4});
  y = matmul(ctx, p, reshape(ctx, y, {batch, groups_, block_, rows * width * depth}));
  y = permute(ctx, reshape(ctx, y, {batch, groups_, height, block_, cols * depth}), {0, 1, 3, 2, 4});
  y = matmul(ctx, q, reshape(ctx, y, {batch, groups_, block_, height * cols * depth}), {.transpose_a = true});
  y = permute(ctx, reshape(ctx, y, {batch, groups_, block_, height, cols, depth}), {0, 3, 2, 4, 1, 5});
  y = reshape(ctx, y, {batch, height, width, channels_});
  if (padded) y = pad_map(ctx, y, {.bottom = -more.bottom, .right = -more.right});
  return conv2_.forward(ctx, y, activation_);
}

Bilinear::Bilinear(const AttentionShape& shape, const BilinearOptions& options)
    : options_(options),
      conv1_({.conv = unbiased(shape.dim, options.width.of(shape.dim))}),
      ba_(options.width.of(shape.dim), options.block_size, options.groups, options.act_layer),
      conv2_({.conv = unbiased(options.width.of(shape.dim), shape.dim)}) {
  add_module("conv1", conv1_);
  add_module("ba", ba_);
  add_module("conv2", conv2_);
}

Var Bilinear::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  check(input.grid.count() == x.size(1), "bilinear: ", x.shape(), " is no grid of ", input.grid.height, " x ",
        input.grid.width);
  const int64_t batch = x.size(0), dim = x.size(2);
  Var y = conv1_.forward(ctx, x, options_.act_layer);
  y = ba_.forward(ctx, reshape(ctx, y, {batch, input.grid.height, input.grid.width, y.size(2)}));
  y = conv2_.forward(ctx, reshape(ctx, y, {batch, x.size(1), y.size(3)}), options_.act_layer);
  if (ctx.training && options_.drop_rate > 0.0)  // one draw for a whole channel (torch.nn.Dropout2d)
    y = multiply(ctx, y, dropout(ctx, Tensor::full({batch, 1, dim}, 1.0f), static_cast<float>(options_.drop_rate)));
  y = add(ctx, y, x);
  if (input.wanted_tokens > 0) y = slice_tokens(ctx, y, 0, input.wanted_tokens);
  return with_residual(ctx, y, input.residual);
}

VITKIT_REGISTER_ATTENTION("bilinear", Bilinear, .family = AttentionFamily::region,
                          .summary = "bilinear attentional transform: blocks of a map mix along rows and columns",
                          .formula = "x + W2 (P (W1 x) Q), P and Q stochastic, from the maxima of rows and columns",
                          .source = "Chi et al. 2020, Non-local neural networks with grouped bilinear transforms",
                          .complexity = "O(N C b)", .needs_grid = true, .takes_prefix = false, .smooth = false);

}  // namespace vit
