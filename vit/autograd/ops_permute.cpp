// Moves: other orders of axes, heads, pieces of an axis, of tokens and features.
#include <utility>

#include "vit/autograd/op_support.h"
#include "vit/autograd/strided.h"
#include "vit/autograd/tensor_ops.h"

namespace vit {

namespace {

/// A copy between two contiguous tensors of different layout: y[i] = x[i] for all indices i of `shape`, from the given
/// offsets on. The gradient is the copy back.
struct Move {
  Shape shape;
  Strides in_y, in_x;
  int64_t y_offset = 0, x_offset = 0;

  void run(const Tensor& y, const Tensor& x) const {
    strided_copy(y.f32() + y_offset, in_y, x.f32() + x_offset, in_x, shape);
  }
  void run_back(const Tensor& d_x, const Tensor& d_y) const {
    strided_copy(d_x.f32() + x_offset, in_x, d_y.f32() + y_offset, in_y, shape);
  }
};

/// Whether the move reads every element of x: else its gradient has zeros elsewhere.
bool reads_all(const Move& move, const Var& x) { return move.shape.numel() == x.value().numel(); }

/// y = the moved elements of x, all of y being written.
Var moved(Context& ctx, const char* op, const Var& x, const Shape& y_shape, const Move& move) {
  StageTimer timer(ctx.profile, op);
  Tensor y = ctx.arena.empty(y_shape);
  move.run(y, x.value());
  report_traffic(ctx, op, 2.0 * static_cast<double>(y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x, move](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "move.grad");
    Tensor d_x = reads_all(move, x) ? tape.empty(x.shape()) : tape.zeros(x.shape());
    move.run_back(d_x, d_y);
    tape.accumulate(x, std::move(d_x));
  });
}

Var permuted(Context& ctx, const char* op, const Var& x, const std::vector<int64_t>& order) {
  const int64_t rank = x.value().rank();
  check(static_cast<int64_t>(order.size()) == rank, op, ": ", order.size(), " axes are named for ", x.shape());
  const Strides own = contiguous_strides(x.shape());
  std::vector<int64_t> extents;
  std::vector<bool> seen(order.size(), false);
  Strides in_x{};
  for (const int64_t axis : order) {
    const auto from = static_cast<size_t>(checked_axis(op, x.shape(), axis));
    check(!seen[from], op, ": axis ", axis, " is named twice");
    seen[from] = true;
    in_x[extents.size()] = own[from];
    extents.push_back(x.size(static_cast<int>(from)));
  }
  const Shape shape(extents);
  return moved(ctx, op, x, shape, {shape, contiguous_strides(shape), in_x});
}

Var sliced(Context& ctx, const char* op, const Var& x, int64_t axis, int64_t begin, int64_t end) {
  const int64_t at = checked_axis(op, x.shape(), axis), extent = x.size(static_cast<int>(at));
  check(0 <= begin && begin <= end && end <= extent, op, ": [", begin, ", ", end, ") is outside axis ", axis, " of ",
        x.shape());
  std::vector<int64_t> extents(x.shape().begin(), x.shape().end());
  extents[static_cast<size_t>(at)] = end - begin;
  const Shape shape(extents);
  const Strides in_x = contiguous_strides(x.shape());
  return moved(ctx, op, x, shape, {shape, contiguous_strides(shape), in_x, 0, begin * in_x[static_cast<size_t>(at)]});
}

}  // namespace

Var permute(Context& ctx, const Var& x, const std::vector<int64_t>& order) {
  return permuted(ctx, "permute", x, order);
}

Var channels_last(Context& ctx, const Var& image) {
  check(image.value().rank() == 4, "channels_last: expected images [B, c, height, width], got ", image.shape());
  return permuted(ctx, "channels_last", image, {0, 2, 3, 1});
}

Var taps_outermost(Context& ctx, const Var& weight) {
  check(weight.value().rank() == 4, "taps_outermost: expected a weight [F, c, kernel_h, kernel_w], got ",
        weight.shape());
  return permuted(ctx, "taps_outermost", weight, {0, 2, 3, 1});
}

Var split_heads(Context& ctx, const HeadColumns& columns, int64_t heads, int64_t head_dim) {
  const Var& x = columns.tokens;
  check(x.value().rank() == 3, "split_heads: expected tokens [B, N, *], got ", x.shape());
  check(heads >= 0 && head_dim >= 0 && columns.first >= 0 && columns.first + heads * head_dim <= x.size(2),
        "split_heads: columns [", columns.first, ", ", columns.first + heads * head_dim, ") are outside ", x.shape());
  const int64_t width = x.size(2), tokens = x.size(1);
  const Shape shape{x.size(0), heads, tokens, head_dim};
  return moved(ctx, "split_heads", x, shape,
               {shape, contiguous_strides(shape), {tokens * width, head_dim, width, 1}, 0, columns.first});
}

Var merge_heads(Context& ctx, const Var& x) {
  check(x.value().rank() == 4, "merge_heads: expected heads [B, H, N, D], got ", x.shape());
  const Var merged = permute(ctx, x, {0, 2, 1, 3});
  return reshape(ctx, merged, {x.size(0), x.size(2), x.size(1) * x.size(3)});
}

Var slice(Context& ctx, const Var& x, int64_t axis, int64_t begin, int64_t end) {
  return sliced(ctx, "slice", x, axis, begin, end);
}

Var slice_features(Context& ctx, const Var& x, int64_t begin, int64_t end) {
  return sliced(ctx, "slice_features", x, -1, begin, end);
}

Var slice_tokens(Context& ctx, const Var& x, int64_t begin, int64_t end) {
  check(x.value().rank() == 3, "slice_tokens: expected tokens [B, N, C], got ", x.shape());
  return sliced(ctx, "slice_tokens", x, 1, begin, end);
}

Var concat_features(Context& ctx, const Var& a, const Var& b) { return concat(ctx, {a, b}, -1); }

Var concat(Context& ctx, const std::vector<Var>& pieces, int64_t axis) {
  StageTimer timer(ctx.profile, "concat");
  check(!pieces.empty(), "concat: there are no pieces");
  const Shape& first = pieces[0].shape();
  const auto at = static_cast<size_t>(checked_axis("concat", first, axis));
  std::vector<int64_t> extents(first.begin(), first.end());
  extents[at] = 0;
  for (const Var& piece : pieces) {
    std::vector<int64_t> others(piece.shape().begin(), piece.shape().end());
    const bool fits = others.size() == extents.size();
    if (fits) others[at] = extents[at];
    check(fits && others == extents, "concat: ", first, " and ", piece.shape(), " differ beside axis ", axis);
    extents[at] += piece.size(static_cast<int>(at));
  }
  Tensor y = ctx.arena.empty(Shape(extents));
  const Strides in_y = contiguous_strides(y.shape());
  std::vector<Move> moves;
  int64_t begin = 0;
  bool recorded = false;
  for (const Var& piece : pieces) {
    moves.push_back({piece.shape(), in_y, contiguous_strides(piece.shape()), begin * in_y[at], 0});
    moves.back().run(y, piece.value());
    begin += piece.size(static_cast<int>(at));
    recorded = recorded || recording(ctx, {&piece});
  }
  report_traffic(ctx, "concat", 2.0 * static_cast<double>(y.numel()));
  if (!recorded) return y;
  return ctx.tape->record(std::move(y), pieces, [pieces, moves](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "concat.grad");
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (!pieces[i].requires_grad()) continue;
      Tensor d_piece = tape.empty(pieces[i].shape());
      moves[i].run_back(d_piece, d_y);
      tape.accumulate(pieces[i], std::move(d_piece));
    }
  });
}

}  // namespace vit
