#include "vit/robustness/pixel_scale.h"

#include "vit/autograd/tape.h"
#include "vit/core/parallel.h"
#include "vit/image/preprocess.h"

namespace vit {

namespace {

/// to[b][c] = factor[c] * from[b][c] + offset[c].
void map_channels(const Tensor& from, const std::array<float, 3>& factor, const std::array<float, 3>& offset,
                  const Tensor& to) {
  check(from.rank() == 4 && from.size(1) == 3, "pixels: expected pictures [B, 3, height, width], got ", from.shape());
  const int64_t plane = from.size(2) * from.size(3);
  parallel_for(from.size(0), [&](int64_t b) {
    for (int64_t c = 0; c < 3; ++c) {
      const float *in = from.f32() + (b * 3 + c) * plane, a = factor[static_cast<size_t>(c)],
                  shift = offset[static_cast<size_t>(c)];
      float* out = to.f32() + (b * 3 + c) * plane;
      for (int64_t i = 0; i < plane; ++i) out[i] = a * in[i] + shift;
    }
  });
}

}  // namespace

PixelScale PixelScale::of(const ToFloat& to_float) {
  PixelScale scale;
  double white = 1.0;  // what 255 becomes before it is normalised
  if (to_float.rescale == ToFloat::Rescale::kNone) white = 255.0;
  if (to_float.rescale == ToFloat::Rescale::kMultiply) white = 255.0 * to_float.factor;
  for (size_t c = 0; c < 3; ++c) {
    const double mean = to_float.normalize ? to_float.mean[c] : 0.0, std = to_float.normalize ? to_float.std[c] : 1.0;
    scale.factor[c] = static_cast<float>(white / std);
    scale.offset[c] = static_cast<float>(-mean / std);
  }
  return scale;
}

Var PixelScale::normalized(Context& ctx, const Var& pixels) const {
  Tensor values = ctx.arena.empty(pixels.shape());
  map_channels(pixels.value(), factor, offset, values);
  if (!ctx.tape || !pixels.requires_grad()) return values;
  return ctx.tape->record(std::move(values), {pixels}, [pixels, slope = factor](Tape& tape, const Tensor& d_values) {
    Tensor d_pixels = tape.empty(pixels.shape());
    map_channels(d_values, slope, {0.0f, 0.0f, 0.0f}, d_pixels);
    tape.accumulate(pixels, std::move(d_pixels));
  });
}

Tensor PixelScale::normalized(const Tensor& pixels) const {
  Tensor values = Tensor::empty(pixels.shape());
  map_channels(pixels, factor, offset, values);
  return values;
}

Tensor PixelScale::pixels(const Tensor& normalized) const {
  std::array<float, 3> slope{}, shift{};
  for (size_t c = 0; c < 3; ++c) {
    slope[c] = 1.0f / factor[c];
    shift[c] = -offset[c] / factor[c];
  }
  Tensor values = Tensor::empty(normalized.shape());
  map_channels(normalized, slope, shift, values);
  return values;
}

}  // namespace vit
