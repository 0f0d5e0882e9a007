#include <algorithm>
#include <utility>

#include "vit/autograd/conv_indirect.h"
#include "vit/autograd/conv_winograd.h"
#include "vit/autograd/op_support.h"
#include "vit/autograd/products.h"

namespace vit {

namespace {

/// [F, taps, c] -> [c, taps in reverse order, F]: the weight of the convolution that turns d_y into d_x.
Tensor reversed_weight(Tape& tape, const Tensor& weight, int64_t taps) {
  const int64_t outputs = weight.size(0), channels = weight.numel() / (outputs * taps);
  Tensor reversed = tape.empty({channels, taps * outputs});
  for (int64_t tap = 0; tap < taps; ++tap)
    kernels::kernels().transpose(reversed.f32() + (taps - 1 - tap) * outputs, taps * outputs,
                                 weight.f32() + tap * channels, taps * channels, outputs, channels);
  return reversed;
}

}  // namespace

IndirectConvolution indirect_convolution(const Var& x, const Var& weight, const Var& bias,
                                         const kernels::ConvGeometry& geometry, int64_t groups, int64_t outputs) {
  return {.op = "conv2d",
          .x = x,
          .weight = weight,
          .bias = bias,
          .geometry = geometry,
          .patch_offsets = nullptr,
          .batch = x.size(0),
          .image_stride = geometry.height * geometry.width * geometry.channels,
          .rows_per_image = geometry.out_h() * geometry.out_w(),
          .taps = geometry.taps(),
          .tap_length = geometry.channels / groups * (geometry.kernel_w / geometry.taps_per_row()),
          .outputs = outputs,
          .groups = groups};
}

std::shared_ptr<const std::vector<int32_t>> IndirectConvolution::offsets() const {
  return geometry ? kernels::shared_conv_offsets(*geometry) : patch_offsets;
}

kernels::IndirectRows IndirectConvolution::rows_of(const float* images, int64_t group, const int32_t* table,
                                                   const float* zeros) const {
  return {.images = images + group * tap_length,
          .image_stride = image_stride,
          .offsets = table,
          .zeros = zeros,
          .rows_per_image = rows_per_image,
          .taps = taps,
          .tap_length = tap_length};
}

void IndirectConvolution::multiply(float* y, const PackedWeight& packed, const kernels::Epilogue& epilogue,
                                   const MemorySource& memory) const {
  if (packed.winograd()) {
    winograd_product(y, x.value(), packed, epilogue, geometry->pad_top, memory);
    return;
  }
  const auto& table = kernels::kernels();
  const auto indices = offsets();
  const std::vector<float> zeros(static_cast<size_t>(tap_length), 0.0f);
  const int64_t n = group_outputs(), threads_per_group = (num_threads() + groups - 1) / groups;
  const auto grid =
      kernels::gemm_grid(table, rows(), n, group_inputs(), static_cast<int>(std::max<int64_t>(1, threads_per_group)));
  parallel_for(groups * grid.parts(), [&](int64_t index) {
    const int64_t group = index / grid.parts(), first = group * n;
    kernels::Epilogue moved = epilogue;
    for (const float** vector : {&moved.bias, &moved.gamma, &moved.residual})
      if (*vector) *vector += first;
    table.gemm_indirect({.c = y + first,
                         .c_stride = outputs,
                         .a = rows_of(x.value().f32(), group, indices->data(), zeros.data()),
                         .b = packed.panels(group),
                         .n = n,
                         .epilogue = moved},
                        kernels::gemm_part(table, grid, rows(), n, index % grid.parts()));
  });
}

Var IndirectConvolution::run(Context& ctx, const PackedWeight& packed, const kernels::Epilogue& epilogue,
                             Tensor y) const {
  check(packed.inputs() == group_inputs(), op, ": the weight reads ", packed.inputs(), " values, a window of ",
        x.shape(), " has ", group_inputs());
  multiply(y.f32(), packed, epilogue, [&](const Shape& shape) { return ctx.arena.empty(shape); });
  report_product(ctx, op, static_cast<double>(rows()), static_cast<double>(outputs),
                 static_cast<double>(group_inputs()));
  if (!recording(ctx, {&x, &weight, &bias})) return y;
  check(weight.defined(), op, ": a gradient needs the plain weight, and this model was prepared for inference");
  return ctx.tape->record(std::move(y), {x, weight, bias}, *this);
}

void IndirectConvolution::operator()(Tape& tape, const Tensor& d_y) const {
  StageTimer timer(tape.profile(), "conv.grad");
  if (bias.requires_grad()) tape.accumulate(bias, column_sums(tape, d_y, rows(), outputs));
  if (weight.requires_grad()) tape.accumulate(weight, weight_grad(tape, d_y));
  if (x.requires_grad()) tape.accumulate(x, image_grad(tape, d_y));
}

// The indirect rows are written down chunk by chunk, small enough to stay in the caches between the two steps.
Tensor IndirectConvolution::weight_grad(Tape& tape, const Tensor& d_y) const {
  if (rows() == 0) return tape.zeros(weight.shape());
  constexpr int64_t kChunkFloats = 1 << 19;
  const auto& table = kernels::kernels();
  const auto indices = offsets();
  const Tensor d_weight = tape.empty(weight.shape());
  const int64_t inputs = group_inputs(), n = group_outputs();
  const int64_t chunk = std::clamp<int64_t>(kChunkFloats / std::max<int64_t>(1, inputs), 64, 8192);
  const Tensor columns = tape.empty({std::min(chunk, rows()), inputs});
  for (int64_t group = 0; group < groups; ++group) {
    const kernels::IndirectRows indirect = rows_of(x.value().f32(), group, indices->data(), nullptr);
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

// Where the stride is 1 the gradient is a convolution of d_y, its border made up for what the padding lacks.
Tensor IndirectConvolution::image_grad(Tape& tape, const Tensor& d_y) const {
  if (!geometry || groups != 1 || geometry->stride_h != 1 || geometry->stride_w != 1 || geometry->rows_as_taps)
    return scattered_image_grad(tape, d_y);
  const kernels::ConvGeometry back = geometry->reversed(outputs);
  if (back.pad_top < 0 || back.pad_left < 0) return scattered_image_grad(tape, d_y);
  const MemorySource memory = [&](const Shape& shape) { return tape.empty(shape); };
  const Tensor reversed = reversed_weight(tape, weight.value(), taps);
  const PackedWeight packed = pack_conv2d(reversed, back, 1, memory);
  Tensor d_x = tape.empty(x.shape());
  indirect_convolution(d_y, {}, {}, back, 1, geometry->channels).multiply(d_x.f32(), packed, {}, memory);
  tape.report_product("input gradient", static_cast<double>(batch * geometry->height * geometry->width),
                      static_cast<double>(geometry->channels), static_cast<double>(taps * outputs));
  return d_x;
}

// An image's gradient is summed by one thread, a few rows at a time.
Tensor IndirectConvolution::scattered_image_grad(Tape& tape, const Tensor& d_y) const {
  constexpr int64_t kRows = 96;
  const auto& table = kernels::kernels();
  const int64_t inputs = group_inputs(), n = group_outputs();
  const auto indices = offsets();
  Tensor d_x = tape.zeros(x.shape());
  const int64_t parts = std::min<int64_t>(num_threads(), batch);
  const Tensor columns = tape.empty({std::max<int64_t>(1, parts), kRows, inputs});
  for (int64_t group = 0; group < groups; ++group) {
    const Tensor part_weight = weight.value().view({outputs, inputs}).slice(group * n, (group + 1) * n);
    const Tensor packed = pack_for_input_gradient(tape, part_weight, nullptr, n, inputs);
    const kernels::IndirectRows indirect = rows_of(d_x.f32(), group, indices->data(), nullptr);
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
}  // namespace vit
