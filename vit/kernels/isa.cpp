// One instruction set's table. This file is compiled once per set, with that set's compiler flags and
//   VITKIT_KERNEL_ARCH  the xsimd architecture, for example avx512bw
//   VITKIT_KERNEL_ISA   the name in enum Isa, for example avx512
// It may include nothing whose inline functions other objects share (no std containers, no other library): the linker
// keeps one copy of those, and could keep the one that was compiled for a newer CPU. The only name it exports is
// table_<isa>.
#include "vit/kernels/activation.inl.h"
#include "vit/kernels/activation_grad.inl.h"
#include "vit/kernels/attention.inl.h"
#include "vit/kernels/attention_grad.inl.h"
#include "vit/kernels/conv.inl.h"
#include "vit/kernels/conv_grad.inl.h"
#include "vit/kernels/elementwise.inl.h"
#include "vit/kernels/gemm.inl.h"
#include "vit/kernels/gemm_transposed.inl.h"
#include "vit/kernels/group_attention.inl.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/norm.inl.h"
#include "vit/kernels/norm_grad.inl.h"
#include "vit/kernels/optim.inl.h"
#include "vit/kernels/simd.h"
#include "vit/kernels/tensor.inl.h"
#include "vit/kernels/winograd.inl.h"

#define VITKIT_CONCAT2(a, b) a##b
#define VITKIT_CONCAT(a, b) VITKIT_CONCAT2(a, b)
#define VITKIT_STRING2(a) #a
#define VITKIT_STRING(a) VITKIT_STRING2(a)

namespace vit::kernels {
namespace {

using S = Simd<xsimd::VITKIT_KERNEL_ARCH>;

constexpr KernelTable kTable = {
    .isa = Isa::VITKIT_KERNEL_ISA,
    .name = VITKIT_STRING(VITKIT_KERNEL_ISA),
    .vector_width = S::kWidth,
    .panel_width = kPanelWidth<S>,
    .tile_rows = S::kTileRows,
    .pack_b = pack_b<S>,
    .gemm = gemm<S>,
    .gemm_indirect = gemm_indirect<S>,
    .winograd_workspace_size = winograd_workspace_size<S>,
    .conv_winograd = conv_winograd<S>,
    .conv_depthwise = conv_depthwise<S>,
    .attention_packed_size = attention_packed_size<S>,
    .attention_workspace_size = attention_workspace_size<S>,
    .attention_pack = attention_pack<S>,
    .attention_rows = attention_rows<S>,
    .attention_scores = attention_scores<S>,
    .layer_norm = layer_norm<S>,
    .rms_norm = rms_norm<S>,
    .l2_norm = l2_norm<S>,
    .softmax = softmax<S>,
    .mean_rows = mean_rows<S>,
    .transpose = transpose<S>,
    .activation = activation<S>,
    .gated_activation = gated_activation<S>,
    .add = add<S>,
    .multiply = multiply<S>,
    .scale = scale<S>,
    .scale_add = scale_add<S>,
    .normalize_u8 = normalize_u8<S>,
    .gemm_transposed = gemm_transposed<S>,
    .sum_rows = sum_rows<S>,
    .sum_rows_product = sum_rows_product<S>,
    .layer_norm_grad = layer_norm_grad<S>,
    .rms_norm_grad = rms_norm_grad<S>,
    .l2_norm_grad = l2_norm_grad<S>,
    .softmax_grad = softmax_grad<S>,
    .activation_grad = activation_grad<S>,
    .gated_activation_grad = gated_activation_grad<S>,
    .attention_grad_workspace_size = attention_grad_workspace_size<S>,
    .attention_grad = attention_grad<S>,
    .gather_rows = gather_rows<S>,
    .scatter_rows = scatter_rows<S>,
    .conv_depthwise_grad = conv_depthwise_grad<S>,
    .adamw = adamw<S>,
    .sum_of_squares = sum_of_squares<S>,
    .groups = &kGroupKernels<S>,
    .tensors = &kTensorKernels<S>,
    .fma_peak = fma_peak<S>,
};

}  // namespace

const KernelTable& VITKIT_CONCAT(table_, VITKIT_KERNEL_ISA)();
const KernelTable& VITKIT_CONCAT(table_, VITKIT_KERNEL_ISA)() { return kTable; }

}  // namespace vit::kernels
