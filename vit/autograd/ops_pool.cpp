#include <algorithm>
#include <limits>
#include <utility>

#include "vit/autograd/map_ops.h"
#include "vit/autograd/op_support.h"

namespace vit {

namespace {

/// The windows of a pool over one map, torch's rules.
struct Windows {
  PoolOptions options;
  int64_t batch, height, width, channels, out_h, out_w;

  Windows(const char* op, const Var& x, const PoolOptions& given) : options(given) {
    check(x.value().rank() == 4, op, ": expected maps [B, height, width, C], got ", x.shape());
    batch = x.size(0), height = x.size(1), width = x.size(2), channels = x.size(3);
    check(given.kernel > 0 && given.stride > 0, op, ": kernel and stride must be positive, got ", given.kernel, " and ",
          given.stride);
    check(given.padding >= 0 && 2 * given.padding <= given.kernel, op, ": padding must be within half the kernel of ",
          given.kernel, ", got ", given.padding);
    out_h = outputs(height), out_w = outputs(width);
    check(out_h > 0 && out_w > 0, op, ": a kernel of ", given.kernel, " exceeds maps of ", x.shape(), " with padding ",
          given.padding);
  }

  /// Windows along an axis; 0: the kernel is too large, unless ceil_mode lets it reach over the end.
  int64_t outputs(int64_t extent) const {
    const int64_t last = extent + 2 * options.padding - options.kernel, stride = options.stride;
    if (!options.ceil_mode) return last < 0 ? 0 : last / stride + 1;
    if (last + stride - 1 < 0) return 0;
    const int64_t count = (last + stride - 1) / stride + 1;
    return (count - 1) * stride >= extent + options.padding ? count - 1 : count;
  }

  Shape shape() const { return {batch, out_h, out_w, channels}; }

  /// The window of output pixel `row` of the batch: its rows and columns within the map, and the number that a mean
  /// divides by.
  struct Window {
    int64_t first_pixel;  ///< of the map in the batch
    int64_t top, left, bottom, right;
    float divisor;
  };
  Window window(int64_t row) const {
    const int64_t b = row / (out_h * out_w), i = row / out_w % out_h, j = row % out_w;
    const int64_t top = i * options.stride - options.padding, left = j * options.stride - options.padding;
    const int64_t bottom = std::min(top + options.kernel, height + options.padding);
    const int64_t right = std::min(left + options.kernel, width + options.padding);
    Window w{b * height * width,       std::max<int64_t>(0, top), std::max<int64_t>(0, left),
             std::min(bottom, height), std::min(right, width),    1.0f};
    w.divisor = static_cast<float>(options.count_include_pad ? (bottom - top) * (right - left)
                                                             : (w.bottom - w.top) * (w.right - w.left));
    return w;
  }

  /// visit(pixel) for every pixel of the window, as an index of the batch's pixels, in row-major order.
  template <class Visit>
  void for_pixels(const Window& w, const Visit& visit) const {
    for (int64_t i = w.top; i < w.bottom; ++i)
      for (int64_t j = w.left; j < w.right; ++j) visit(w.first_pixel + i * width + j);
  }

  /// body(row) for every output pixel, in parallel.
  template <class Body>
  void for_outputs(const Body& body) const {
    parallel_for_range(batch * out_h * out_w, row_grain(channels * options.kernel), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) body(row);
    });
  }

  /// body(row) for every output pixel, a map by one thread: windows overlap.
  template <class Body>
  void for_outputs_by_map(const Body& body) const {
    parallel_for(batch, [&](int64_t b) {
      for (int64_t row = b * out_h * out_w; row < (b + 1) * out_h * out_w; ++row) body(row);
    });
  }
};

}  // namespace

Var max_pool2d(Context& ctx, const Var& x, const PoolOptions& options) {
  StageTimer timer(ctx.profile, "max_pool2d");
  const Windows windows("max_pool2d", x, options);
  const int64_t channels = windows.channels;
  Tensor y = ctx.arena.empty(windows.shape());
  windows.for_outputs([&](int64_t row) {
    float* best = y.f32() + row * channels;
    std::fill_n(best, channels, -std::numeric_limits<float>::infinity());
    windows.for_pixels(windows.window(row), [&](int64_t pixel) {
      const float* values = x.value().f32() + pixel * channels;
      // A NaN stays: it is greater than nothing, and nothing is greater than it.
      for (int64_t c = 0; c < channels; ++c) best[c] = best[c] >= values[c] || best[c] != best[c] ? best[c] : values[c];
    });
  });
  report_traffic(ctx, "max_pool2d", static_cast<double>(x.value().numel() + y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(y, {x}, [x, y, windows](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "max_pool2d.grad");
    Tensor d_x = tape.zeros(x.shape());
    const int64_t width = windows.channels;
    const Tensor untaken = tape.empty({windows.batch, width});
    windows.for_outputs_by_map([&](int64_t row) {
      float* left = untaken.f32() + row / (windows.out_h * windows.out_w) * width;
      const float* best = y.f32() + row * width;
      std::copy_n(d_y.f32() + row * width, width, left);
      windows.for_pixels(windows.window(row), [&](int64_t pixel) {
        const float* values = x.value().f32() + pixel * width;
        float* target = d_x.f32() + pixel * width;
        for (int64_t c = 0; c < width; ++c) {
          target[c] += values[c] == best[c] ? left[c] : 0.0f;
          left[c] = values[c] == best[c] ? 0.0f : left[c];
        }
      });
    });
    tape.accumulate(x, std::move(d_x));
  });
}

Var avg_pool2d(Context& ctx, const Var& x, const PoolOptions& options) {
  StageTimer timer(ctx.profile, "avg_pool2d");
  const Windows windows("avg_pool2d", x, options);
  const int64_t channels = windows.channels;
  Tensor y = ctx.arena.empty(windows.shape());
  windows.for_outputs([&](int64_t row) {
    float* sum = y.f32() + row * channels;
    std::fill_n(sum, channels, 0.0f);
    const Windows::Window window = windows.window(row);
    windows.for_pixels(window, [&](int64_t pixel) {
      const float* values = x.value().f32() + pixel * channels;
      for (int64_t c = 0; c < channels; ++c) sum[c] += values[c];
    });
    for (int64_t c = 0; c < channels; ++c) sum[c] /= window.divisor;
  });
  report_traffic(ctx, "avg_pool2d", static_cast<double>(x.value().numel() + y.numel()));
  if (!recording(ctx, {&x})) return y;
  return ctx.tape->record(std::move(y), {x}, [x, windows](Tape& tape, const Tensor& d_y) {
    StageTimer grad_timer(tape.profile(), "avg_pool2d.grad");
    Tensor d_x = tape.zeros(x.shape());
    const int64_t width = windows.channels;
    windows.for_outputs_by_map([&](int64_t row) {
      const Windows::Window window = windows.window(row);
      const float* d = d_y.f32() + row * width;
      windows.for_pixels(window, [&](int64_t pixel) {
        float* target = d_x.f32() + pixel * width;
        for (int64_t c = 0; c < width; ++c) target[c] += d[c] / window.divisor;
      });
    });
    tape.accumulate(x, std::move(d_x));
  });
}

}  // namespace vit
