#include <algorithm>
#include <memory>

#include "vit/autograd/conv_depthwise.h"
#include "vit/autograd/conv_indirect.h"
#include "vit/autograd/conv_winograd.h"
#include "vit/autograd/map_ops.h"
#include "vit/autograd/op_support.h"

namespace vit {

namespace {

/// The packed weight of one call, as packed_for_call.
PackedWeight packed_for_conv(Context& ctx, const Weight& weight, const kernels::ConvGeometry& geometry,
                             int64_t groups) {
  if (weight.packed.defined()) return weight.packed;
  check(weight.plain.defined(), "conv2d: the weight is not loaded");
  return pack_conv2d(weight.plain.value(), geometry, groups,
                     [&](const Shape& shape) { return ctx.arena.empty(shape); });
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
          .residual_stride = per_channel ? 0 : outputs,
          .residual_first = options.residual_first};
}

kernels::ConvGeometry geometry_of(int64_t height, int64_t width, int64_t channels, const Conv2dOptions& options) {
  return {.height = height,
          .width = width,
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
}

/// A convolution and what follows it, op by op: the gradients of what follows read what the fused form never writes
/// down.
Var conv2d_apart(Context& ctx, const Var& x, const Weight& weight, const Var& bias, const Conv2dOptions& options) {
  Conv2dOptions alone = options;
  alone.activation = Activation::none;
  alone.gamma = alone.residual = {};
  Var y = conv2d(ctx, x, weight, bias, alone);
  const auto activated = [&](const Var& value) {
    return options.activation == Activation::none ? value : activate(ctx, value, options.activation);
  };
  if (!options.residual_first) y = activated(y);
  if (options.gamma.defined()) y = scale_channels(ctx, y, options.gamma);
  if (options.residual.defined()) y = add(ctx, y, options.residual);
  return options.residual_first ? activated(y) : y;
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
  const IndirectConvolution product{.op = "patch_embed",
                                    .x = image,
                                    .weight = weight.plain,
                                    .bias = bias,
                                    .patch_offsets = std::make_shared<const std::vector<int32_t>>(
                                        kernels::patch_offsets(channels, height, width, patch_h, patch_w)),
                                    .batch = batch,
                                    .image_stride = channels * height * width,
                                    .rows_per_image = tokens,
                                    .taps = channels * patch_h,
                                    .tap_length = patch_w,
                                    .outputs = packed.outputs()};
  return product.run(ctx, packed, {.bias = vector_or_null("patch_embed", "bias", bias, packed.outputs())},
                     ctx.arena.empty({batch, tokens, packed.outputs()}));
}

Var conv2d(Context& ctx, const Var& x, const Weight& weight, const Var& bias, const Conv2dOptions& options) {
  const bool recorded = recording(ctx, {&x, &weight.plain, &bias, &options.gamma, &options.residual});
  if (recorded && (options.activation != Activation::none || options.gamma.defined() || options.residual.defined()))
    return conv2d_apart(ctx, x, weight, bias, options);
  StageTimer timer(ctx.profile, "conv2d");
  check(x.value().rank() == 4, "conv2d: expected maps [B, height, width, c], got ", x.shape());
  const int64_t batch = x.size(0), channels = x.size(3);
  check(options.groups > 0 && channels % options.groups == 0, "conv2d: ", channels, " channels cannot be divided into ",
        options.groups, " groups");
  kernels::ConvGeometry geometry = geometry_of(x.size(1), x.size(2), channels, options);
  kernels::check_geometry(geometry);
  const PackedWeight packed = packed_for_conv(ctx, weight, geometry, options.groups);
  const int64_t outputs = packed.outputs();
  check(packed.groups() == options.groups, "conv2d: a weight packed for ", packed.groups(), " groups, used with ",
        options.groups);
  check(!packed.winograd() || suits_winograd(geometry, outputs),
        "conv2d: a weight packed for 3 x 3 taps and stride 1, used with ", options.kernel_h, " x ", options.kernel_w,
        ", stride ", options.stride, ", dilation ", options.dilation);
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
  return indirect_convolution(map, weight.plain, bias, geometry, options.groups, outputs)
      .run(ctx, packed, epilogue, result_memory(ctx, shape, options.residual, options.overwrite_residual && !recorded));
}

PackedWeight pack_conv2d(const Tensor& weight, const kernels::ConvGeometry& geometry, int64_t groups,
                         const MemorySource& memory) {
  const int64_t taps = geometry.kernel_h * geometry.kernel_w;
  if (groups == 1 && suits_winograd(geometry, weight.size(0))) return PackedWeight::pack_winograd(weight, memory);
  return PackedWeight::pack_convolution_into(weight, groups, taps,
                                             memory({PackedWeight::convolution_elements(weight, groups, taps)}));
}

PackedWeight pack_conv2d(const Tensor& weight, const Conv2dOptions& options) {
  const int64_t taps = options.kernel_h * options.kernel_w;
  const int64_t channels = weight.numel() / std::max<int64_t>(1, weight.size(0) * taps) * options.groups;
  return pack_conv2d(weight, geometry_of(0, 0, channels, options), options.groups,
                     [](const Shape& shape) { return Tensor::empty(shape); });
}

}  // namespace vit
