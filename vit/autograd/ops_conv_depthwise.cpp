#include <utility>

#include "vit/autograd/conv_depthwise.h"
#include "vit/autograd/op_support.h"
#include "vit/autograd/products.h"

namespace vit {

namespace {

/// Output pixels of one part: enough work to hand out, and a few rows of a map that stay in the caches.
int64_t depthwise_grain(int64_t channels, int64_t taps) { return row_grain(channels * std::max<int64_t>(1, taps / 4)); }

}  // namespace

kernels::DepthwiseArgs DepthwiseConvolution::args(float* c, const float* by_tap) const {
  return {.c = c,
          .c_stride = geometry.channels,
          .a = {.images = x.value().f32(),
                .image_stride = geometry.height * geometry.width * geometry.channels,
                .offsets = offsets->data(),
                .zeros = nullptr,
                .rows_per_image = rows_per_image(),
                .taps = taps(),
                .tap_length = geometry.channels},
          .weight = by_tap,
          .epilogue = {}};
}

Var DepthwiseConvolution::run(Context& ctx, const PackedWeight& packed, const kernels::Epilogue& epilogue,
                              const Shape& shape) const {
  check(packed.inputs() == taps() && packed.outputs() == geometry.channels, "conv2d: a depthwise weight for ",
        packed.outputs(), " channels and ", packed.inputs(), " taps, a window of ", x.shape(), " has ", taps());
  Tensor y = ctx.arena.empty(shape);
  kernels::DepthwiseArgs call = args(y.f32(), packed.panels());
  call.epilogue = epilogue;
  parallel_for_range(rows(), depthwise_grain(geometry.channels, taps()),
                     [&](int64_t first, int64_t last) { kernels::kernels().conv_depthwise(call, first, last); });
  if (ctx.costs)
    ctx.costs->add_cost(ctx.scope(), "conv2d", 2.0 * static_cast<double>(y.numel() * taps()),
                        4.0 * static_cast<double>(x.value().numel() + y.numel() + geometry.channels * taps()));
  if (!recording(ctx, {&x, &weight, &bias})) return y;
  check(weight.defined(), "conv2d: a gradient needs the plain weight, and this model was prepared for inference");
  return ctx.tape->record(std::move(y), {x, weight, bias}, *this);
}

void DepthwiseConvolution::operator()(Tape& tape, const Tensor& d_y) const {
  StageTimer timer(tape.profile(), "conv.grad");
  if (bias.requires_grad()) tape.accumulate(bias, column_sums(tape, d_y, rows(), geometry.channels));
  if (weight.requires_grad()) tape.accumulate(weight, weight_grad(tape, d_y));
  if (x.requires_grad()) tape.accumulate(x, image_grad(tape, d_y));
}

Tensor DepthwiseConvolution::weight_by_tap(Tape& tape) const {
  Tensor by_tap = tape.empty({taps(), geometry.channels});
  kernels::kernels().transpose(by_tap.f32(), geometry.channels, weight.value().f32(), taps(), geometry.channels,
                               taps());
  return by_tap;
}

Tensor DepthwiseConvolution::weight_grad(Tape& tape, const Tensor& d_y) const {
  const auto& table = kernels::kernels();
  const int64_t parts = gradient_parts(rows()), size = taps() * geometry.channels;
  const Tensor partial = tape.zeros({parts, size});
  const kernels::DepthwiseArgs call = args(d_y.f32(), nullptr);
  parallel_for(parts, [&](int64_t part) {
    const Range range = part_range(rows(), parts, part);
    table.conv_depthwise_grad(partial.f32() + part * size, nullptr, call, range.begin, range.end);
  });
  const Tensor by_tap = tape.empty({size});
  table.sum_rows(by_tap.f32(), partial.f32(), size, parts, size, false);
  Tensor d_weight = tape.empty(weight.shape());
  table.transpose(d_weight.f32(), taps(), by_tap.f32(), geometry.channels, taps(), geometry.channels);
  return d_weight;
}

Tensor DepthwiseConvolution::image_grad(Tape& tape, const Tensor& d_y) const {
  const auto& table = kernels::kernels();
  const int64_t channels = geometry.channels;
  const Tensor by_tap = weight_by_tap(tape);
  const kernels::ConvGeometry back = geometry.reversed(channels);
  if (geometry.stride_h != 1 || geometry.stride_w != 1 || back.pad_top < 0 || back.pad_left < 0) {
    Tensor d_x = tape.zeros(x.shape());
    const kernels::DepthwiseArgs call = args(d_y.f32(), by_tap.f32());
    // Rows of one image overlap: an image's gradient is summed by one thread.
    parallel_for(x.size(0), [&](int64_t b) {
      table.conv_depthwise_grad(nullptr, d_x.f32(), call, b * rows_per_image(), (b + 1) * rows_per_image());
    });
    return d_x;
  }
  Tensor d_x = tape.empty(x.shape());
  const Tensor flipped = tape.empty({taps(), channels});
  for (int64_t tap = 0; tap < taps(); ++tap)
    table.scale(flipped.f32() + tap * channels, by_tap.f32() + (taps() - 1 - tap) * channels, 1.0f, channels);
  const DepthwiseConvolution convolution{d_y, {}, {}, back, kernels::shared_conv_offsets(back)};
  const kernels::DepthwiseArgs call = convolution.args(d_x.f32(), flipped.f32());
  parallel_for_range(convolution.rows(), depthwise_grain(channels, taps()),
                     [&](int64_t first, int64_t last) { table.conv_depthwise(call, first, last); });
  return d_x;
}

}  // namespace vit
