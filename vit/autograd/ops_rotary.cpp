#include <cstring>

#include "vit/autograd/op_support.h"
#include "vit/autograd/rotary.h"

namespace vit {

namespace {

/// What is turned: heads of `pairs` pairs from column `first` of rows [B, N, width], in the last R tokens.
struct RotaryRows {
  int64_t batch, tokens, width, first, heads;
  Rotation rotation;
  int64_t turned() const { return rotation.sine.size(0); }
  int64_t pairs() const { return rotation.sine.size(1); }

  /// y = x turned by the angles (`direction` 1) or back (-1), in the columns and tokens that turn; y may be x.
  void turn(float* y, const float* x, float direction) const {
    parallel_for_range(batch * turned(), row_grain(2 * heads * pairs()), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t r = row % turned();
        const int64_t at = ((row / turned()) * tokens + tokens - turned() + r) * width + first;
        turn_row(y + at, x + at, rotation.sine.f32() + r * pairs(), rotation.cosine.f32() + r * pairs(), direction);
      }
    });
  }

  void turn_row(float* y_r, const float* x_r, const float* sine_r, const float* cosine_r, float direction) const {
    const int64_t count = pairs();
    for (int64_t h = 0; h < heads; ++h) {
      const float* x_h = x_r + 2 * h * count;
      float* y_h = y_r + 2 * h * count;
      for (int64_t i = 0; i < count; ++i) {
        const float even = x_h[2 * i], odd = x_h[2 * i + 1], sine = direction * sine_r[i];
        y_h[2 * i] = even * cosine_r[i] - odd * sine;
        y_h[2 * i + 1] = even * sine + odd * cosine_r[i];
      }
    }
  }
};

/// A copy of x in memory of the call.
template <class Memory>
Tensor copied(Memory& memory, const Tensor& x) {
  Tensor y = memory.empty(x.shape());
  std::memcpy(y.raw(), x.raw(), static_cast<size_t>(x.nbytes()));
  return y;
}

}  // namespace

Var rotate_heads(Context& ctx, const HeadColumns& columns, int64_t heads, int64_t head_dim, const Rotation& rotation) {
  StageTimer timer(ctx.profile, "rotate_heads");
  const Var& x = columns.tokens;
  check(x.shape().rank() == 3, "rotate_heads: tokens must be [B, N, *], got ", x.shape());
  check(head_dim > 0 && head_dim % 2 == 0, "rotate_heads: head_dim ", head_dim, " must be even: pairs are turned");
  check(columns.first >= 0 && columns.first + heads * head_dim <= x.size(2), "rotate_heads: columns [", columns.first,
        ", ", columns.first + heads * head_dim, ") are outside ", x.shape());
  const Shape& angles = rotation.sine.shape();
  check(angles.rank() == 2 && angles[1] == head_dim / 2 && angles[0] <= x.size(1) && rotation.cosine.shape() == angles,
        "rotate_heads: sine ", angles, " and cosine ", rotation.cosine.shape(), " must be [R, ", head_dim / 2,
        "] with R at most ", x.size(1), " tokens");
  const RotaryRows rows{x.size(0), x.size(1), x.size(2), columns.first, heads, rotation};
  report_traffic(ctx, "rotate_heads", 2.0 * static_cast<double>(rows.batch * rows.turned() * heads * head_dim));
  if (!recording(ctx, {&x})) {
    Tensor y = x.value();
    rows.turn(y.f32(), y.f32(), 1.0f);
    return y;
  }
  Tensor y = copied(ctx.arena, x.value());
  rows.turn(y.f32(), y.f32(), 1.0f);
  return ctx.tape->record(std::move(y), {x}, [x, rows](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "rotate_heads.grad");
    Tensor d_x = copied(tape, d_y);  // what does not turn passes
    rows.turn(d_x.f32(), d_x.f32(), -1.0f);
    tape.accumulate(x, std::move(d_x));
  });
}

}  // namespace vit
