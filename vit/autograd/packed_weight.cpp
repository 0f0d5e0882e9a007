#include "vit/autograd/packed_weight.h"

#include <algorithm>
#include <utility>

#include "vit/core/parallel.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/winograd.h"

namespace vit {

namespace {

int64_t inputs_of(const Tensor& weight) { return weight.size(0) == 0 ? 0 : weight.numel() / weight.size(0); }

bool is_depthwise(int64_t outputs, int64_t inputs, int64_t groups, int64_t taps) {
  return groups > 1 && groups == outputs && inputs == taps;
}

/// One matrix [outputs, inputs] in panels, in parallel over them.
void pack_matrix(float* panels, const float* matrix, int64_t outputs, int64_t inputs) {
  const auto& table = kernels::kernels();
  parallel_for(kernels::panel_count(table, outputs),
               [&](int64_t panel) { table.pack_b(panels, matrix, inputs, 1, outputs, inputs, panel, panel + 1); });
}

/// Panels of the 16 matrices of Winograd's algorithm, from weight [outputs, 9, channels]. `transformed` is scratch for
/// 16 * outputs * channels floats. A panel's filters are transformed and packed by one thread, while they are in its
/// cache.
void pack_winograd_panels(float* panels, float* transformed, const float* weight, int64_t outputs, int64_t channels) {
  const auto& table = kernels::kernels();
  const int64_t filter = kernels::kWinogradPlaces * channels;
  parallel_for(kernels::panel_count(table, outputs), [&](int64_t panel) {
    const int64_t first = panel * table.panel_width, last = std::min(first + table.panel_width, outputs);
    kernels::winograd_weights(transformed + first * filter, weight + first * 9 * channels, last - first, channels);
    for (int64_t place = 0; place < kernels::kWinogradPlaces; ++place)
      table.pack_b(panels + place * PackedWeight::packed_elements(outputs, channels), transformed + place * channels,
                   filter, 1, outputs, channels, panel, panel + 1);
  });
}

}  // namespace

int64_t PackedWeight::packed_elements(int64_t outputs, int64_t inputs) {
  return kernels::packed_size(kernels::kernels(), outputs, inputs);
}

PackedWeight PackedWeight::pack(const Tensor& weight) {
  check(weight.rank() >= 2, "pack: expected a weight [F, ...], got ", weight.shape());
  return pack_into(weight, Tensor::empty({packed_elements(weight.size(0), inputs_of(weight))}));
}

PackedWeight PackedWeight::pack_into(const Tensor& weight, Tensor memory) {
  PackedWeight packed;
  packed.outputs_ = weight.size(0);
  packed.inputs_ = inputs_of(weight);
  check(memory.numel() == packed_elements(packed.outputs_, packed.inputs_), "pack: ", memory.shape(),
        " is not the packed size of ", weight.shape());
  pack_matrix(memory.f32(), weight.f32(), packed.outputs_, packed.inputs_);
  packed.panels_ = std::move(memory);
  return packed;
}

int64_t PackedWeight::convolution_elements(const Tensor& weight, int64_t groups, int64_t taps) {
  const int64_t outputs = weight.size(0), inputs = inputs_of(weight);
  check(groups > 0 && outputs % groups == 0, "pack: ", outputs, " outputs cannot be divided into ", groups, " groups");
  return is_depthwise(outputs, inputs, groups, taps) ? weight.numel()
                                                     : groups * packed_elements(outputs / groups, inputs);
}

PackedWeight PackedWeight::pack_convolution(const Tensor& weight, int64_t groups, int64_t taps) {
  return pack_convolution_into(weight, groups, taps, Tensor::empty({convolution_elements(weight, groups, taps)}));
}

PackedWeight PackedWeight::pack_convolution_into(const Tensor& weight, int64_t groups, int64_t taps, Tensor memory) {
  check(memory.numel() == convolution_elements(weight, groups, taps), "pack: ", memory.shape(),
        " is not the packed size of ", weight.shape());
  PackedWeight packed;
  packed.outputs_ = weight.size(0);
  packed.inputs_ = inputs_of(weight);
  packed.groups_ = groups;
  packed.depthwise_ = is_depthwise(packed.outputs_, packed.inputs_, groups, taps);
  if (packed.depthwise_) {
    kernels::kernels().transpose(memory.f32(), packed.outputs_, weight.f32(), taps, packed.outputs_, taps);
  } else {
    const int64_t rows = packed.outputs_ / groups;
    for (int64_t group = 0; group < groups; ++group)
      pack_matrix(memory.f32() + group * packed_elements(rows, packed.inputs_),
                  weight.f32() + group * rows * packed.inputs_, rows, packed.inputs_);
  }
  packed.panels_ = std::move(memory);
  return packed;
}

PackedWeight PackedWeight::pack_winograd(const Tensor& weight, const MemorySource& memory) {
  PackedWeight packed;
  packed.outputs_ = weight.size(0);
  packed.inputs_ = inputs_of(weight);
  packed.winograd_ = true;
  check(packed.inputs_ % 9 == 0, "pack: expected 3 x 3 taps of some channels, got ", weight.shape());
  const int64_t outputs = packed.outputs_, channels = packed.inputs_ / 9, matrix = packed_elements(outputs, channels);
  const Tensor transformed = memory({outputs, kernels::kWinogradPlaces, channels});
  packed.panels_ = memory({kernels::kWinogradPlaces * matrix});
  pack_winograd_panels(packed.panels_.f32(), transformed.f32(), weight.f32(), outputs, channels);
  return packed;
}

}  // namespace vit
