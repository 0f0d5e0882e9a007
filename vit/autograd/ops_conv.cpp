#include "vit/autograd/op_support.h"
#include "vit/autograd/ops.h"
#include "vit/kernels/conv_offsets.h"

namespace vit {

namespace {

void run_indirect(const kernels::GemmIndirectArgs& args, int64_t rows) {
  const auto& table = kernels::kernels();
  const int64_t k = args.a.taps * args.a.tap_length;
  const auto grid = kernels::gemm_grid(table, rows, args.n, k, num_threads());
  parallel_for(grid.parts(),
               [&](int64_t part) { table.gemm_indirect(args, kernels::gemm_part(table, grid, rows, args.n, part)); });
}

}  // namespace

Var patch_embed(Context& ctx, const Var& image, const Weight& weight, const Var& bias, int64_t patch_h,
                int64_t patch_w) {
  StageTimer timer(ctx.profile, "patch_embed");
  require_no_gradient(ctx, "patch_embed", {&image, &weight.plain, &bias});
  check(image.value().rank() == 4, "patch_embed: expected images [B, c, height, width], got ", image.shape());
  const int64_t batch = image.size(0), channels = image.size(1), height = image.size(2), width = image.size(3);
  check(height >= patch_h && width >= patch_w, "patch_embed: an image of ", height, " x ", width,
        " is smaller than a patch of ", patch_h, " x ", patch_w);
  const PackedWeight packed = packed_for_call(ctx, "patch_embed", weight);
  const int64_t k = channels * patch_h * patch_w, outputs = packed.outputs();
  check(packed.inputs() == k, "patch_embed: the weight reads ", packed.inputs(), " values, a patch of ", image.shape(),
        " has ", k);
  const int64_t tokens = (height / patch_h) * (width / patch_w);
  const std::vector<int32_t> offsets = kernels::patch_offsets(channels, height, width, patch_h, patch_w);
  Tensor y = ctx.arena.empty({batch, tokens, outputs});
  run_indirect({.c = y.f32(),
                .c_stride = outputs,
                .a = {.images = image.value().f32(),
                      .image_stride = channels * height * width,
                      .offsets = offsets.data(),
                      .rows_per_image = tokens,
                      .taps = channels * patch_h,
                      .tap_length = patch_w},
                .b = packed.panels(),
                .n = outputs,
                .epilogue = {.bias = vector_or_null("patch_embed", "bias", bias, outputs)}},
               batch * tokens);
  report_product(ctx, "patch_embed", static_cast<double>(batch * tokens), static_cast<double>(outputs),
                 static_cast<double>(k));
  return y;
}

Var conv2d(Context& ctx, const Var& x, const Weight& weight, const Var& bias, const Conv2dOptions& options) {
  StageTimer timer(ctx.profile, "conv2d");
  require_no_gradient(ctx, "conv2d", {&x, &weight.plain, &bias});
  check(x.value().rank() == 4, "conv2d: expected maps [B, height, width, c], got ", x.shape());
  const int64_t batch = x.size(0), channels = x.size(3);
  const PackedWeight packed = packed_for_call(ctx, "conv2d", weight);
  const int64_t outputs = packed.outputs();
  const int64_t taps = options.kernel_h * options.kernel_w;
  check(packed.inputs() == taps * channels, "conv2d: the weight reads ", packed.inputs(), " values, a window of ",
        x.shape(), " has ", taps * channels);
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
  const std::vector<int32_t> offsets = kernels::conv_offsets(geometry);
  const std::vector<float> zeros(static_cast<size_t>(channels), 0.0f);
  const int64_t rows_per_image = geometry.out_h() * geometry.out_w();
  Tensor y = ctx.arena.empty({batch, geometry.out_h(), geometry.out_w(), outputs});
  run_indirect(
      {.c = y.f32(),
       .c_stride = outputs,
       .a = {.images = x.value().f32(),
             .image_stride = x.size(1) * x.size(2) * channels,
             .offsets = offsets.data(),
             .zeros = zeros.data(),
             .rows_per_image = rows_per_image,
             .taps = taps,
             .tap_length = channels},
       .b = packed.panels(),
       .n = outputs,
       .epilogue = {.bias = vector_or_null("conv2d", "bias", bias, outputs), .activation = options.activation}},
      batch * rows_per_image);
  report_product(ctx, "conv2d", static_cast<double>(batch * rows_per_image), static_cast<double>(outputs),
                 static_cast<double>(taps * channels));
  return y;
}

}  // namespace vit
