#include "vit/attention/window.h"

#include <algorithm>

#include "vit/attention/memory.h"

namespace vit {

namespace {

constexpr float kMasked = -100.0f;

int64_t padded_to(int64_t count, int64_t size) { return (count + size - 1) / size * size; }

/// One axis of a map under windows: `padded` positions after shift and padding.
struct Axis {
  int64_t tokens, window, shift, padded;
  WindowRule rule;
  Axis(int64_t count, int64_t size, int64_t by, WindowRule whose)
      : tokens(count), window(size), shift(by), padded(padded_to(count, size)), rule(whose) {}
  /// The token at a position; -1: padding.
  int64_t token(int64_t position) const {
    if (rule == WindowRule::timm) return position < tokens ? (position + shift) % tokens : -1;
    const int64_t at = (position + shift) % padded;
    return at < tokens ? at : -1;
  }
  /// Positions of different regions were not neighbours before the shift.
  int64_t region(int64_t position) const {
    if (shift == 0 || position < padded - window) return 0;
    return position < padded - shift ? 1 : 2;
  }
};

/// Masks of the windows that a shift mixes: those of the last row, of the last column, and the one of both.
void add_masks(const Axis& down, const Axis& across, WindowLayout& layout) {
  const int64_t rows = down.padded / down.window, columns = across.padded / across.window;
  const int64_t tokens = down.window * across.window;
  layout.mask = Tensor::zeros({3, tokens, tokens});
  layout.mask_of = Tensor::empty({rows * columns}, DType::i64);
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      const int64_t kind =
          (down.shift > 0 && row + 1 == rows ? 1 : 0) + (across.shift > 0 && column + 1 == columns ? 2 : 0);
      layout.mask_of.data<int64_t>()[row * columns + column] = kind - 1;
    }
  for (int64_t kind = 1; kind <= 3; ++kind)
    for (int64_t i = 0; i < tokens; ++i)
      for (int64_t j = 0; j < tokens; ++j) {
        const int64_t y = down.padded - down.window, x = across.padded - across.window;
        const bool rows_differ = down.region(y + i / across.window) != down.region(y + j / across.window);
        const bool columns_differ = across.region(x + i % across.window) != across.region(x + j % across.window);
        if (((kind & 1) && rows_differ) || ((kind & 2) && columns_differ))
          layout.mask.f32()[((kind - 1) * tokens + i) * tokens + j] = kMasked;
      }
}

}  // namespace

const std::vector<std::pair<WindowRule, std::string>>& enum_names(WindowRule) {
  static const std::vector<std::pair<WindowRule, std::string>> names = {{WindowRule::timm, "timm"},
                                                                        {WindowRule::hugging_face, "hugging_face"}};
  return names;
}

WindowLayout window_layout(const Grid& grid, const std::array<int64_t, 2>& window, const std::array<int64_t, 2>& shift,
                           WindowRule rule) {
  check(grid.count() > 0, "window attention: the tokens form no grid");
  const Axis down(grid.height, window[0], shift[0], rule), across(grid.width, window[1], shift[1], rule);
  WindowLayout layout;
  Tensor tokens =
      Tensor::empty({down.padded / window[0] * (across.padded / window[1]), window[0] * window[1]}, DType::i64);
  int64_t* at = tokens.data<int64_t>();
  for (int64_t top = 0; top < down.padded; top += window[0])
    for (int64_t left = 0; left < across.padded; left += window[1])
      for (int64_t i = 0; i < window[0]; ++i)
        for (int64_t j = 0; j < window[1]; ++j) {
          const int64_t y = down.token(top + i), x = across.token(left + j);
          *at++ = y < 0 || x < 0 ? -1 : y * grid.width + x;
        }
  layout.groups = {tokens, tokens};
  layout.padded = down.padded != grid.height || across.padded != grid.width;
  if (shift[0] > 0 || shift[1] > 0) add_masks(down, across, layout);
  return layout;
}

WindowAttention::WindowAttention(const AttentionShape& shape, const WindowAttentionOptions& options)
    : heads_(shape.num_heads),
      head_dim_(head_dim_of(shape)),
      rule_(options.rule),
      always_partition_(options.always_partition),
      target_window_(read_window(options.window)),
      qkv_(shape.dim, 3 * shape.dim, options.qkv_bias),
      bias_({.kind = options.relative_position_bias ? WindowBiasKind::bias : WindowBiasKind::none,
             .window = target_window_,
             .heads = shape.num_heads}),
      proj_(shape.dim, shape.dim, options.proj_bias) {
  for (size_t axis = 0; axis < 2; ++axis) {
    target_shift_[axis] = options.shift.value_or(shape.layer % 2 == 0 ? 0 : target_window_[axis] / 2);
    if (target_shift_[axis] >= target_window_[axis])
      fail_usage("window attention: a shift of ", target_shift_[axis], " must be less than the window of ",
                 target_window_[axis]);
  }
  fit(shape.grid);
  add_module("", bias_);
  add_module("qkv", qkv_);
  add_module("proj", proj_);
}

void WindowAttention::fit(const Grid& grid) {
  grid_ = grid;
  window_ = target_window_;
  shift_ = target_shift_;
  const std::array<int64_t, 2> extents = {grid.height, grid.width};
  for (size_t axis = 0; axis < 2 && rule_ == WindowRule::timm && !always_partition_; ++axis) {
    if (extents[axis] > window_[axis]) continue;
    window_[axis] = extents[axis];
    shift_[axis] = 0;
  }
  bias_.set_window(window_);
  layout_ = window_layout(grid, window_, shift_on(grid), rule_);
}

std::array<int64_t, 2> WindowAttention::shift_on(const Grid& grid) const {
  const bool within = std::min(grid.height, grid.width) <= std::min(window_[0], window_[1]);
  if (rule_ == WindowRule::hugging_face && !always_partition_ && within) return {0, 0};
  return shift_;
}

void WindowAttention::set_grid(Grid grid) { fit(grid); }

Var WindowAttention::forward(Context& ctx, const Var& x, const AttentionInput& input) const {
  const int64_t dim = heads_ * head_dim_;
  const Var qkv = qkv_.forward(ctx, x);
  const WindowLayout layout =
      input.grid == grid_ ? layout_ : window_layout(input.grid, window_, shift_on(input.grid), rule_);
  GroupedHeads heads{.q = {qkv, 0},
                     .k = {qkv, dim},
                     .v = {qkv, 2 * dim},
                     .heads = heads_,
                     .head_dim = head_dim_,
                     .groups = layout.groups,
                     .bias = bias_.forward(ctx),
                     .mask = layout.mask,
                     .mask_of = layout.mask_of};
  // The tokens around the map are zeros, so all of their projection is its bias.
  if (layout.padded) heads.filler = qkv_.bias().defined() ? qkv_.bias() : Var(Tensor::zeros({3 * dim}));
  return proj_.forward(ctx, attend_in_groups(ctx, {heads}, input), input.residual);
}

VITKIT_REGISTER_ATTENTION("window", WindowAttention, .family = AttentionFamily::spatial,
                          .summary = "Swin's windows of neighbouring tokens, shifted in every other layer",
                          .formula = "softmax(q k^T / sqrt(D) + b) v within windows of h x w tokens, per head",
                          .source = "Liu et al. 2021 (Swin), section 3.2 and eq. 4", .complexity = "O(N h w C)",
                          .needs_grid = true);

}  // namespace vit
