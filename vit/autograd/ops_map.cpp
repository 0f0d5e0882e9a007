#include <algorithm>
#include <cmath>
#include <vector>

#include "vit/autograd/map_ops.h"
#include "vit/autograd/op_support.h"

namespace vit {

namespace {

void check_maps(const char* op, const Var& x) {
  check(x.value().rank() == 4, op, ": expected maps [B, height, width, C], got ", x.shape());
}

/// y = x within a border of `value`, or cut.
void pad_into(const Tensor& y, const Tensor& x, const Border& border, float value) {
  const int64_t height = x.size(1), width = x.size(2), channels = x.size(3), out_h = y.size(1), out_w = y.size(2);
  const int64_t left = std::max<int64_t>(0, border.left);
  const int64_t first = std::max<int64_t>(0, -border.left), last = std::min(width, width + border.right);
  const int64_t copied = std::max<int64_t>(0, last - first);
  parallel_for_range(y.size(0) * out_h, row_grain(out_w * channels), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float* y_row = y.f32() + row * out_w * channels;
      const int64_t source = row % out_h - border.top;
      if (source < 0 || source >= height || copied == 0) {
        std::fill_n(y_row, out_w * channels, value);
        continue;
      }
      const float* x_row = x.f32() + ((row / out_h * height + source) * width + first) * channels;
      std::fill_n(y_row, left * channels, value);
      std::copy_n(x_row, copied * channels, y_row + left * channels);
      std::fill_n(y_row + (left + copied) * channels, (out_w - left - copied) * channels, value);
    }
  });
}

/// Where one output position of bilinear resampling reads along an axis.
struct Between {
  int64_t low, high;
  float share;  ///< of high
};

/// torch's upsample_bilinear2d, align_corners false, positions in f32 as there.
std::vector<Between> positions(int64_t from, int64_t to) {
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  std::vector<Between> axis;
  for (int64_t i = 0; i < to; ++i) {
    const float at = std::max(0.0f, scale * (static_cast<float>(i) + 0.5f) - 0.5f);
    const int64_t low = std::min(static_cast<int64_t>(at), from - 1);
    axis.push_back({low, std::min(low + 1, from - 1), at - static_cast<float>(low)});
  }
  return axis;
}

/// Bilinear resampling between two sizes and, the other way, its transpose.
struct Resize {
  Var x;
  std::vector<Between> rows, cols;

  void run(const Tensor& y) const {
    const int64_t height = x.size(1), width = x.size(2), channels = x.size(3);
    const int64_t out_h = y.size(1), out_w = y.size(2);
    parallel_for_range(y.size(0) * out_h, row_grain(out_w * channels), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const Between& v = rows[static_cast<size_t>(row % out_h)];
        const float* map = x.value().f32() + row / out_h * height * width * channels;
        for (int64_t j = 0; j < out_w; ++j) {
          const Between& h = cols[static_cast<size_t>(j)];
          const float* corners[4] = {
              map + (v.low * width + h.low) * channels, map + (v.low * width + h.high) * channels,
              map + (v.high * width + h.low) * channels, map + (v.high * width + h.high) * channels};
          float* target = y.f32() + (row * out_w + j) * channels;
          for (int64_t c = 0; c < channels; ++c)
            target[c] = (1.0f - v.share) * ((1.0f - h.share) * corners[0][c] + h.share * corners[1][c]) +
                        v.share * ((1.0f - h.share) * corners[2][c] + h.share * corners[3][c]);
        }
      }
    });
  }

  /// A map's gradient is summed by one thread.
  void operator()(Tape& tape, const Tensor& d_y) const {
    StageTimer timer(tape.profile(), "resize_map.grad");
    const int64_t width = x.size(2), channels = x.size(3), out_h = d_y.size(1), out_w = d_y.size(2);
    Tensor d_x = tape.zeros(x.shape());
    parallel_for(x.size(0), [&](int64_t b) {
      float* map = d_x.f32() + b * x.size(1) * width * channels;
      const float* source = d_y.f32() + b * out_h * out_w * channels;
      for (int64_t i = 0; i < out_h; ++i) {
        const Between& v = rows[static_cast<size_t>(i)];
        for (int64_t j = 0; j < out_w; ++j, source += channels) {
          const Between& h = cols[static_cast<size_t>(j)];
          for (const auto& [r, r_share] : {std::pair{v.low, 1.0f - v.share}, std::pair{v.high, v.share}})
            for (const auto& [q, q_share] : {std::pair{h.low, 1.0f - h.share}, std::pair{h.high, h.share}}) {
              float* target = map + (r * width + q) * channels;
              for (int64_t c = 0; c < channels; ++c) target[c] += r_share * q_share * source[c];
            }
        }
      }
    });
    tape.accumulate(x, std::move(d_x));
  }
};

}  // namespace

Var pad_map(Context& ctx, const Var& x, const Border& border, float value) {
  StageTimer timer(ctx.profile, "pad_map");
  check_maps("pad_map", x);
  const int64_t height = x.size(1) + border.top + border.bottom, width = x.size(2) + border.left + border.right;
  check(height > 0 && width > 0, "pad_map: a border of top ", border.top, ", left ", border.left, ", bottom ",
        border.bottom, ", right ", border.right, " leaves nothing of ", x.shape());
  Tensor y = ctx.arena.empty({x.size(0), height, width, x.size(3)});
  pad_into(y, x.value(), border, value);
  report_traffic(ctx, "pad_map", static_cast<double>(x.value().numel() + y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x, border](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "pad_map.grad");
    Tensor d_x = tape.empty(x.shape());
    pad_into(d_x, d_y, {-border.top, -border.left, -border.bottom, -border.right}, 0.0f);
    tape.accumulate(x, std::move(d_x));
  });
}

Var resize_map(Context& ctx, const Var& x, int64_t height, int64_t width) {
  StageTimer timer(ctx.profile, "resize_map");
  check_maps("resize_map", x);
  check(height > 0 && width > 0 && x.size(1) > 0 && x.size(2) > 0, "resize_map: cannot make ", height, " x ", width,
        " of ", x.shape());
  const Resize resize{x, positions(x.size(1), height), positions(x.size(2), width)};
  Tensor y = ctx.arena.empty({x.size(0), height, width, x.size(3)});
  resize.run(y);
  report_traffic(ctx, "resize_map", static_cast<double>(x.value().numel() + y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, resize);
}

}  // namespace vit
