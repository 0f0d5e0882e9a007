#include <algorithm>
#include <memory>

#include "vit/autograd/conv_depthwise.h"
#include "vit/autograd/map_ops.h"
#include "vit/autograd/op_support.h"
#include "vit/autograd/products.h"
#include "vit/kernels/conv_offsets.h"

namespace vit {

namespace {

/// A convolution as a product of indirect rows (kernels.h) with a weight [F, taps * tap_length], one for each group of
/// channels: what patch_embed and conv2d have in common, with its gradient.
struct IndirectProduct {
  const char* op;
  Var x, weight, bias;
  std::shared_ptr<const std::vector<int32_t>> offsets;
  int64_t batch, image_stride, rows_per_image, taps, tap_length, outputs;
  int64_t groups = 1;
  std::shared_ptr<const std::vector<float>> zeros;

  int64_t rows() const { return batch * rows_per_image; }
  // of one group
  int64_t group_inputs() const { return taps * tap_length; }
  int64_t group_outputs() const { return outputs / groups; }

  kernels::IndirectRows rows_of(const float* images, int64_t group) const {
    return {.images = images + group * tap_length,
            .image_stride = image_stride,
            .offsets = offsets->data(),
            .zeros = zeros->data(),
            .rows_per_image = rows_per_image,
            .taps = taps,
            .tap_length = tap_length};
  }

  Var run(Context& ctx, const PackedWeight& packed, const kernels::Epilogue& epilogue, const Shape& shape) const {
    check(packed.inputs() == group_inputs(), op, ": the weight reads ", packed.inputs(), " values, a window of ",
          x.shape(), " has ", group_inputs());
    Tensor y = ctx.arena.empty(shape);
    const auto& table = kernels::kernels();
    const int64_t n = group_outputs(), threads_per_group = (num_threads() + groups - 1) / groups;
    const auto grid =
        kernels::gemm_grid(table, rows(), n, group_inputs(), static_cast<int>(std::max<int64_t>(1, threads_per_group)));
    parallel_for(groups * grid.parts(), [&](int64_t index) {
      const int64_t group = index / grid.parts(), first = group * n;
      kernels::Epilogue moved = epilogue;
      for (const float** vector : {&moved.bias, &moved.gamma, &moved.residual})
        if (*vector) *vector += first;
      table.gemm_indirect({.c = y.f32() + first,
                           .c_stride = outputs,
                           .a = rows_of(x.value().f32(), group),
                           .b = packed.panels(group),
                           .n = n,
                           .epilogue = moved},
                          kernels::gemm_part(table, grid, rows(), n, index % grid.parts()));
    });
    report_product(ctx, op, static_cast<double>(rows()), static_cast<double>(outputs),
                   static_cast<double>(group_inputs()));
    if (!recording(ctx, {&x, &weight, &bias})) return y;
    check(weight.defined(), op, ": a gradient needs the plain weight, and this model was prepared for inference");
    return ctx.tape->record(std::move(y), {x, weight, bias}, *this);
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
    if (rows() == 0) return tape.zeros(weight.shape());
    constexpr int64_t kChunkFloats = 1 << 19;
    const auto& table = kernels::kernels();
    const Tensor d_weight = tape.empty(weight.shape());
    const int64_t inputs = group_inputs(), n = group_outputs();
    const int64_t chunk = std::clamp<int64_t>(kChunkFloats / std::max<int64_t>(1, inputs), 64, 8192);
    const Tensor columns = tape.empty({std::min(chunk, rows()), inputs});
    for (int64_t group = 0; group < groups; ++group) {
      const kernels::IndirectRows indirect = rows_of(x.value().f32(), group);
      for (int64_t begin = 0; begin < rows(); begin += chunk) {
        const int64_t count = std::min(chunk, rows() - begin);
        parallel_for_range(count, row_grain(inputs), [&](int64_t first, int64_t last) {
          table.gather_rows(columns.f32() + first * inputs, indirect, begin + first, begin + last);
        });
        weight_gradient(tape, d_y.f32() + begin * outputs + group * n, outputs, columns.f32(),
                        d_weight.f32() + group * n * inputs, count, n, inputs, begin > 0);
      }
    }
    return d_weight;
  }

  /// An image's gradient is summed by one thread, a few rows at a time.
  Tensor image_grad(Tape& tape, const Tensor& d_y) const {
    constexpr int64_t kRows = 96;
    const auto& table = kernels::kernels();
    const int64_t inputs = group_inputs(), n = group_outputs();
    Tensor d_x = tape.zeros(x.shape());
    const int64_t parts = std::min<int64_t>(num_threads(), batch);
    const Tensor columns = tape.empty({std::max<int64_t>(1, parts), kRows, inputs});
    for (int64_t group = 0; group < groups; ++group) {
      const Tensor part_weight = weight.value().view({outputs, inputs}).slice(group * n, (group + 1) * n);
      const Tensor packed = pack_for_input_gradient(tape, part_weight, nullptr, n, inputs);
      const kernels::IndirectRows indirect = rows_of(d_x.f32(), group);
      parallel_for(parts, [&](int64_t part) {
        float* mine = columns.f32() + part * kRows * inputs;
        const Range images = part_range(batch, parts, part);
        for (int64_t b = images.begin; b < images.end; ++b) {
          for (int64_t row = 0; row < rows_per_image; row += kRows) {
            const int64_t begin = b * rows_per_image + row, count = std::min(kRows, rows_per_image - row);
            table.gemm({.c = mine,
                        .c_stride = inputs,
                        .a = d_y.f32() + begin * outputs + group * n,
                        .a_stride = outputs,
                        .b = packed.f32(),
                        .n = inputs,
                        .k = n,
                        .epilogue = {}},
                       {0, count, 0, kernels::panel_count(table, inputs)});
            table.scatter_rows(d_x.f32() + group * tap_length, mine, indirect, begin, begin + count);
          }
        }
      });
    }
    tape.report_product("input gradient", static_cast<double>(rows()), static_cast<double>(inputs),
                        static_cast<double>(outputs));
    return d_x;
  }
};

/// The packed weight of one call, as packed_for_call.
PackedWeight packed_for_conv(Context& ctx, const Weight& weight, const Conv2dOptions& options) {
  if (weight.packed.defined()) return weight.packed;
  check(weight.plain.defined(), "conv2d: the weight is not loaded");
  const Tensor& plain = weight.plain.value();
  const int64_t taps = options.kernel_h * options.kernel_w;
  return PackedWeight::pack_convolution_into(
      plain, options.groups, taps, ctx.arena.empty({PackedWeight::convolution_elements(plain, options.groups, taps)}));
}

/// Of pictures and the like a whole row of the kernel is read at once: taps of three floats are mostly overhead.
bool few_channels(int64_t channels, const Conv2dOptions& options) {
  constexpr int64_t kFew = 16;
  return channels <= kFew && options.kernel_w > 1 && options.dilation == 1 && options.groups == 1;
}

kernels::Epilogue epilogue_of(const Var& bias, const Conv2dOptions& options, const Shape& shape) {
  const int64_t outputs = shape[3];
  const Var& residual = options.residual;
  const bool per_channel = residual.defined() && residual.shape() == Shape{outputs};
  check(!residual.defined() || per_channel || residual.shape() == shape, "conv2d: residual must be ", shape, " or [",
        outputs, "], got ", residual.shape());
  return {.bias = vector_or_null("conv2d", "bias", bias, outputs),
          .activation = options.activation,
          .gamma = vector_or_null("conv2d", "gamma", options.gamma, outputs),
          .residual = floats_or_null(residual),
          .residual_stride = per_channel ? 0 : outputs};
}

kernels::ConvGeometry geometry_of(const Var& x, const Conv2dOptions& options) {
  return {.height = x.size(1),
          .width = x.size(2),
          .channels = x.size(3),
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
}

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
  return product.run(ctx, packed, {.bias = vector_or_null("patch_embed", "bias", bias, packed.outputs())},
                     {batch, tokens, packed.outputs()});
}

Var conv2d(Context& ctx, const Var& x, const Weight& weight, const Var& bias, const Conv2dOptions& options) {
  const bool recorded = recording(ctx, {&x, &weight.plain, &bias, &options.gamma, &options.residual});
  if (recorded && (options.activation != Activation::none || options.gamma.defined() || options.residual.defined())) {
    // The gradients of what follows read what the fused form never writes down.
    Conv2dOptions alone = options;
    alone.activation = Activation::none;
    alone.gamma = alone.residual = {};
    Var y = conv2d(ctx, x, weight, bias, alone);
    if (options.activation != Activation::none) y = activate(ctx, y, options.activation);
    if (options.gamma.defined()) y = scale_channels(ctx, y, options.gamma);
    return options.residual.defined() ? add(ctx, y, options.residual) : y;
  }
  StageTimer timer(ctx.profile, "conv2d");
  check(x.value().rank() == 4, "conv2d: expected maps [B, height, width, c], got ", x.shape());
  const int64_t batch = x.size(0), channels = x.size(3);
  check(options.groups > 0 && channels % options.groups == 0, "conv2d: ", channels, " channels cannot be divided into ",
        options.groups, " groups");
  const PackedWeight packed = packed_for_conv(ctx, weight, options);
  const int64_t outputs = packed.outputs();
  check(packed.groups() == options.groups, "conv2d: a weight packed for ", packed.groups(), " groups, used with ",
        options.groups);
  kernels::ConvGeometry geometry = geometry_of(x, options);
  const Shape shape{batch, geometry.out_h(), geometry.out_w(), outputs};
  const kernels::Epilogue epilogue = epilogue_of(bias, options, shape);
  if (packed.depthwise())
    return DepthwiseConvolution{x, weight.plain, bias, geometry, kernels::shared_conv_offsets(geometry)}.run(
        ctx, packed, epilogue, shape);
  Var map = x;
  if (!recorded && few_channels(channels, options)) {
    if (options.padding > 0) map = pad_map(ctx, x, {.left = options.padding, .right = options.padding});
    geometry.width = map.size(2);
    geometry.pad_left = geometry.pad_right = 0;
    geometry.rows_as_taps = true;
  }
  const int64_t tap_length = channels / options.groups * (options.kernel_w / geometry.taps_per_row());
  const IndirectProduct product{
      .op = "conv2d",
      .x = map,
      .weight = weight.plain,
      .bias = bias,
      .offsets = kernels::shared_conv_offsets(geometry),
      .batch = batch,
      .image_stride = geometry.height * geometry.width * channels,
      .rows_per_image = geometry.out_h() * geometry.out_w(),
      .taps = geometry.taps(),
      .tap_length = tap_length,
      .outputs = outputs,
      .groups = options.groups,
      .zeros = std::make_shared<const std::vector<float>>(static_cast<size_t>(tap_length), 0.0f)};
  return product.run(ctx, packed, epilogue, shape);
}

}  // namespace vit
