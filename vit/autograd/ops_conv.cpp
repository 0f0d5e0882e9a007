#include <algorithm>
#include <memory>

#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"
#include "vit/autograd/products.h"
#include "vit/kernels/conv_offsets.h"

namespace vit {

namespace {

/// A convolution as a product of indirect rows (kernels.h) with a weight [F, taps * tap_length]: what patch_embed and
/// conv2d have in common, with its gradient.
struct IndirectProduct {
  const char* op;
  Var x, weight, bias;
  std::shared_ptr<const std::vector<int32_t>> offsets;
  int64_t batch, image_stride, rows_per_image, taps, tap_length, outputs;
  std::shared_ptr<const std::vector<float>> zeros;

  int64_t rows() const { return batch * rows_per_image; }
  int64_t inputs() const { return taps * tap_length; }

  kernels::IndirectRows rows_of(const float* images) const {
    return {.images = images,
            .image_stride = image_stride,
            .offsets = offsets->data(),
            .zeros = zeros->data(),
            .rows_per_image = rows_per_image,
            .taps = taps,
            .tap_length = tap_length};
  }

  Var run(Context& ctx, const PackedWeight& packed, Activation activation, const Shape& shape) const {
    const bool recorded = recording(ctx, {&x, &weight, &bias});
    check(packed.inputs() == inputs(), op, ": the weight reads ", packed.inputs(), " values, a window of ", x.shape(),
          " has ", inputs());
    Tensor y = ctx.arena.empty(shape);
    const kernels::GemmIndirectArgs args{.c = y.f32(),
                                         .c_stride = outputs,
                                         .a = rows_of(x.value().f32()),
                                         .b = packed.panels(),
                                         .n = outputs,
                                         .epilogue = {.bias = vector_or_null(op, "bias", bias, outputs),
                                                      .activation = recorded ? Activation::none : activation}};
    const auto& table = kernels::kernels();
    const auto grid = kernels::gemm_grid(table, rows(), outputs, inputs(), num_threads());
    parallel_for(grid.parts(), [&](int64_t part) {
      table.gemm_indirect(args, kernels::gemm_part(table, grid, rows(), outputs, part));
    });
    report_product(ctx, op, static_cast<double>(rows()), static_cast<double>(outputs), static_cast<double>(inputs()));
    if (!recorded) return y;
    check(weight.defined(), op, ": a gradient needs the plain weight, and this model was prepared for inference");
    const Var result = ctx.tape->record(std::move(y), {x, weight, bias}, *this);
    return activation == Activation::none ? result : activate(ctx, result, activation);
  }

  void operator()(Tape& tape, const Tensor& d_y) const {
    StageTimer timer(tape.profile(), "conv.grad");
    if (bias.requires_grad()) tape.accumulate(bias, column_sums(tape, d_y, rows(), outputs));
    if (weight.requires_grad()) tape.accumulate(weight, weight_grad(tape, d_y));
    if (x.requires_grad()) tape.accumulate(x, image_grad(tape, d_y));
  }

 private:
  /// The indirect rows are written down chunk by chunk, small enough to stay in the caches between the two steps.
  Tensor weight_grad(Tape& tape, const Tensor& d_y) const {
    constexpr int64_t kChunkFloats = 1 << 19;
    const auto& table = kernels::kernels();
    Tensor d_weight = tape.empty(weight.shape());
    const int64_t chunk = std::clamp<int64_t>(kChunkFloats / std::max<int64_t>(1, inputs()), 64, 8192);
    const Tensor columns = tape.empty({std::min(chunk, rows()), inputs()});
    const kernels::IndirectRows indirect = rows_of(x.value().f32());
    for (int64_t begin = 0; begin < rows(); begin += chunk) {
      const int64_t count = std::min(chunk, rows() - begin);
      parallel_for_range(count, row_grain(inputs()), [&](int64_t first, int64_t last) {
        table.gather_rows(columns.f32() + first * inputs(), indirect, begin + first, begin + last);
      });
      const Tensor part = d_y.view({rows(), outputs}).slice(begin, begin + count);
      weight_gradient(tape, part, columns.f32(), d_weight, count, outputs, inputs(), begin > 0);
    }
    if (rows() == 0) d_weight = tape.zeros(weight.shape());
    return d_weight;
  }

  /// An image's gradient is summed by one thread, a few rows at a time.
  Tensor image_grad(Tape& tape, const Tensor& d_y) const {
    constexpr int64_t kRows = 96;
    const auto& table = kernels::kernels();
    const Tensor packed = pack_for_input_gradient(tape, weight.value(), nullptr, outputs, inputs());
    Tensor d_x = tape.zeros(x.shape());
    const int64_t parts = std::min<int64_t>(num_threads(), batch);
    const Tensor columns = tape.empty({std::max<int64_t>(1, parts), kRows, inputs()});
    kernels::IndirectRows indirect = rows_of(d_x.f32());
    parallel_for(parts, [&](int64_t part) {
      float* mine = columns.f32() + part * kRows * inputs();
      const Range images = part_range(batch, parts, part);
      for (int64_t b = images.begin; b < images.end; ++b) {
        for (int64_t row = 0; row < rows_per_image; row += kRows) {
          const int64_t begin = b * rows_per_image + row, count = std::min(kRows, rows_per_image - row);
          table.gemm({.c = mine,
                      .c_stride = inputs(),
                      .a = d_y.f32() + begin * outputs,
                      .a_stride = outputs,
                      .b = packed.f32(),
                      .n = inputs(),
                      .k = outputs,
                      .epilogue = {}},
                     {0, count, 0, kernels::panel_count(table, inputs())});
          table.scatter_rows(d_x.f32(), mine, indirect, begin, begin + count);
        }
      }
    });
    tape.report_product("input gradient", static_cast<double>(rows()), static_cast<double>(inputs()),
                        static_cast<double>(outputs));
    return d_x;
  }
};

}  // namespace

Var patch_embed(Context& ctx, const Var& image, const Weight& weight, const Var& bias, int64_t patch_h,
                int64_t patch_w) {
  StageTimer timer(ctx.profile, "patch_embed");
  check(image.value().rank() == 4, "patch_embed: expected images [B, c, height, width], got ", image.shape());
  const int64_t batch = image.size(0), channels = image.size(1), height = image.size(2), width = image.size(3);
  check(height >= patch_h && width >= patch_w, "patch_embed: an image of ", height, " x ", width,
        " is smaller than a patch of ", patch_h, " x ", patch_w);
  const PackedWeight packed = packed_for_call(ctx, "patch_embed", weight);
  const int64_t tokens = (height / patch_h) * (width / patch_w);
  const IndirectProduct product{.op = "patch_embed",
                                .x = image,
                                .weight = weight.plain,
                                .bias = bias,
                                .offsets = std::make_shared<const std::vector<int32_t>>(
                                    kernels::patch_offsets(channels, height, width, patch_h, patch_w)),
                                .batch = batch,
                                .image_stride = channels * height * width,
                                .rows_per_image = tokens,
                                .taps = channels * patch_h,
                                .tap_length = patch_w,
                                .outputs = packed.outputs(),
                                .zeros = std::make_shared<const std::vector<float>>()};
  return product.run(ctx, packed, Activation::none, {batch, tokens, packed.outputs()});
}

Var conv2d(Context& ctx, const Var& x, const Weight& weight, const Var& bias, const Conv2dOptions& options) {
  StageTimer timer(ctx.profile, "conv2d");
  check(x.value().rank() == 4, "conv2d: expected maps [B, height, width, c], got ", x.shape());
  const int64_t batch = x.size(0), channels = x.size(3);
  const PackedWeight packed = packed_for_call(ctx, "conv2d", weight);
  const kernels::ConvGeometry geometry{.height = x.size(1),
                                       .width = x.size(2),
                                       .channels = channels,
                                       .kernel_h = options.kernel_h,
                                       .kernel_w = options.kernel_w,
                                       .stride_h = options.stride,
                                       .stride_w = options.stride,
                                       .pad_top = options.padding,
                                       .pad_left = options.padding,
                                       .pad_bottom = options.padding,
                                       .pad_right = options.padding,
                                       .dilation_h = options.dilation,
                                       .dilation_w = options.dilation};
  const IndirectProduct product{
      .op = "conv2d",
      .x = x,
      .weight = weight.plain,
      .bias = bias,
      .offsets = std::make_shared<const std::vector<int32_t>>(kernels::conv_offsets(geometry)),
      .batch = batch,
      .image_stride = x.size(1) * x.size(2) * channels,
      .rows_per_image = geometry.out_h() * geometry.out_w(),
      .taps = options.kernel_h * options.kernel_w,
      .tap_length = channels,
      .outputs = packed.outputs(),
      .zeros = std::make_shared<const std::vector<float>>(static_cast<size_t>(channels), 0.0f)};
  return product.run(ctx, packed, options.activation, {batch, geometry.out_h(), geometry.out_w(), packed.outputs()});
}

}  // namespace vit
