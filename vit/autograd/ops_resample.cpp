#include <algorithm>
#include <cmath>
#include <vector>

#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"

namespace vit {

namespace {

/// Source positions and weights of one output position along one axis.
struct Taps {
  std::vector<int64_t> source;
  std::vector<float> weight;
};

/// Keys' cubic convolution kernel (1981) with parameter a.
float cubic(float x, float a) {
  x = std::abs(x);
  if (x < 1.0f) return ((a + 2.0f) * x - (a + 3.0f)) * x * x + 1.0f;
  if (x < 2.0f) return (((x - 5.0f) * x + 8.0f) * x - 4.0f) * a;
  return 0.0f;
}

/// torch's upsample_bicubic2d: four taps, those beyond the border repeat it.
Taps clamped_taps(int64_t position, int64_t from, float scale) {
  constexpr float kA = -0.75f;
  const float centre = scale * (static_cast<float>(position) + 0.5f) - 0.5f;
  const float floor = std::floor(centre);
  Taps taps;
  for (int64_t i = -1; i <= 2; ++i) {
    taps.source.push_back(std::clamp<int64_t>(static_cast<int64_t>(floor) + i, 0, from - 1));
    taps.weight.push_back(cubic(centre - floor - static_cast<float>(i), kA));
  }
  return taps;
}

/// torch's _upsample_bicubic2d_aa: the kernel is stretched when shrinking, cut at the border and normalised.
Taps antialiased_taps(int64_t position, int64_t from, float scale) {
  constexpr float kA = -0.5f;
  const float stretch = std::max(scale, 1.0f);
  const float support = 2.0f * stretch;
  const float centre = scale * (static_cast<float>(position) + 0.5f);
  const int64_t first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5f), 0);
  const int64_t last = std::min<int64_t>(static_cast<int64_t>(centre + support + 0.5f), from);
  Taps taps;
  float sum = 0.0f;
  for (int64_t i = first; i < last; ++i) {
    const float weight = cubic((static_cast<float>(i) - centre + 0.5f) / stretch, kA);
    taps.source.push_back(i);
    taps.weight.push_back(weight);
    sum += weight;
  }
  for (float& weight : taps.weight) weight /= sum;
  return taps;
}

std::vector<Taps> axis_taps(int64_t from, int64_t to, Interpolation interpolation) {
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  std::vector<Taps> taps;
  for (int64_t i = 0; i < to; ++i)
    taps.push_back(interpolation == Interpolation::bicubic ? clamped_taps(i, from, scale)
                                                           : antialiased_taps(i, from, scale));
  return taps;
}

/// out[channels] = sum of weighted rows; row j starts at base + source[j] * stride.
void blend(float* out, const float* base, int64_t stride, const Taps& taps, int64_t channels) {
  std::fill_n(out, channels, 0.0f);
  for (size_t j = 0; j < taps.source.size(); ++j) {
    const float* row = base + taps.source[j] * stride;
    for (int64_t c = 0; c < channels; ++c) out[c] += taps.weight[j] * row[c];
  }
}

/// The transpose of blend: every row that took part gets its share of d_out [channels].
void spread(float* base, const float* d_out, int64_t stride, const Taps& taps, int64_t channels) {
  for (size_t j = 0; j < taps.source.size(); ++j) {
    float* row = base + taps.source[j] * stride;
    for (int64_t c = 0; c < channels; ++c) row[c] += taps.weight[j] * d_out[c];
  }
}

}  // namespace

Var resample_grid(Context& ctx, const Var& table, int64_t prefix, int64_t from_h, int64_t from_w, int64_t to_h,
                  int64_t to_w, Interpolation interpolation) {
  StageTimer timer(ctx.profile, "resample_grid");
  check(table.value().rank() == 3 && table.size(0) == 1 && table.size(1) == prefix + from_h * from_w,
        "resample_grid: expected a table [1, ", prefix, " + ", from_h, " * ", from_w, ", C], got ", table.shape());
  check(from_h > 0 && from_w > 0 && to_h > 0 && to_w > 0, "resample_grid: empty grid");
  const int64_t channels = table.size(2);
  const Tensor wide = ctx.arena.empty({from_h, to_w, channels});  // columns first, then rows, as torch does
  Tensor out = ctx.arena.empty({1, prefix + to_h * to_w, channels});
  const float* grid = table.value().f32() + prefix * channels;
  const std::vector<Taps> columns = axis_taps(from_w, to_w, interpolation);
  const std::vector<Taps> rows = axis_taps(from_h, to_h, interpolation);
  parallel_for(from_h, [&](int64_t y) {
    for (int64_t x = 0; x < to_w; ++x)
      blend(wide.f32() + (y * to_w + x) * channels, grid + y * from_w * channels, channels,
            columns[static_cast<size_t>(x)], channels);
  });
  std::copy_n(table.value().f32(), prefix * channels, out.f32());
  parallel_for(to_h, [&](int64_t y) {
    float* row = out.f32() + (prefix + y * to_w) * channels;
    blend(row, wide.f32(), to_w * channels, rows[static_cast<size_t>(y)], to_w * channels);
  });
  if (!recording(ctx, {&table})) return out;
  return ctx.tape->record(std::move(out), {table}, [=](Tape& tape, const Tensor& d_out) {
    // The transposed maps, in the opposite order. A table is small: one thread keeps the order of the sums.
    const Tensor d_wide = tape.zeros({from_h, to_w, channels});
    for (int64_t y = 0; y < to_h; ++y)
      spread(d_wide.f32(), d_out.f32() + (prefix + y * to_w) * channels, to_w * channels, rows[static_cast<size_t>(y)],
             to_w * channels);
    Tensor d_table = tape.zeros(table.shape());
    std::copy_n(d_out.f32(), prefix * channels, d_table.f32());
    for (int64_t y = 0; y < from_h; ++y)
      for (int64_t x = 0; x < to_w; ++x)
        spread(d_table.f32() + (prefix + y * from_w) * channels, d_wide.f32() + (y * to_w + x) * channels, channels,
               columns[static_cast<size_t>(x)], channels);
    tape.accumulate(table, std::move(d_table));
  });
}

}  // namespace vit
