#include "vit/autograd/packed_weight.h"

#include <utility>

#include "vit/core/parallel.h"
#include "vit/kernels/kernels.h"

namespace vit {

int64_t PackedWeight::packed_elements(int64_t outputs, int64_t inputs) {
  return kernels::packed_size(kernels::kernels(), outputs, inputs);
}

PackedWeight PackedWeight::pack(const Tensor& weight) {
  check(weight.rank() >= 2, "pack: expected a weight [F, ...], got ", weight.shape());
  const int64_t outputs = weight.size(0);
  const int64_t inputs = outputs == 0 ? 0 : weight.numel() / outputs;
  return pack_into(weight, Tensor::empty({packed_elements(outputs, inputs)}));
}

PackedWeight PackedWeight::pack_into(const Tensor& weight, Tensor memory) {
  const auto& table = kernels::kernels();
  PackedWeight packed;
  packed.outputs_ = weight.size(0);
  packed.inputs_ = packed.outputs_ == 0 ? 0 : weight.numel() / packed.outputs_;
  check(memory.numel() == packed_elements(packed.outputs_, packed.inputs_), "pack: ", memory.shape(),
        " is not the packed size of ", weight.shape());
  const float* source = weight.f32();
  float* target = memory.f32();
  parallel_for(kernels::panel_count(table, packed.outputs_), [&](int64_t panel) {
    table.pack_b(target, source, packed.inputs_, 1, packed.outputs_, packed.inputs_, panel, panel + 1);
  });
  packed.panels_ = std::move(memory);
  return packed;
}

}  // namespace vit
