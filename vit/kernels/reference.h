// The oracle's gradient and optimiser kernels (reference_grad.cpp), for the table in reference.cpp, and what both files
// use. Contracts: kernels.h.
#pragma once

#include <cmath>
#include <cstdint>

#include "vit/kernels/group_kernels.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/tensor_kernels.h"

namespace vit::kernels::reference {

/// Narrow panels and tiles, so that small tests meet whole and ragged ones.
inline constexpr int64_t kWidth = 4;

inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

inline double dot(const float* a, const float* b, int64_t count) {
  double sum = 0.0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

/// Where tap `tap` of row `row` starts, in floats from the first image, or kZeroTap.
inline int64_t tap_start(const IndirectRows& a, int64_t row, int64_t tap) {
  const int32_t offset = a.offsets[row % a.rows_per_image * a.taps + tap];
  return offset == kZeroTap ? kZeroTap : row / a.rows_per_image * a.image_stride + offset;
}

/// f(x) of an activation.
double activate(double x, Activation kind);

void gemm_transposed(const GemmTransposedArgs& args, const GemmPart& part);
void sum_rows(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols, bool accumulate);
void sum_rows_product(float* y, const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t rows,
                      int64_t cols);
void layer_norm_grad(float* d_x, int64_t d_x_stride, float* d_gamma, float* d_beta, const float* d_y,
                     int64_t d_y_stride, const float* x, int64_t x_stride, const float* mean, const float* rstd,
                     const float* gamma, int64_t rows, int64_t cols);
void rms_norm_grad(float* d_x, int64_t d_x_stride, float* d_gamma, const float* d_y, int64_t d_y_stride, const float* x,
                   int64_t x_stride, const float* rstd, const float* gamma, int64_t rows, int64_t cols);
void l2_norm_grad(float* d_x, int64_t d_x_stride, const float* d_y, int64_t d_y_stride, const float* x,
                  int64_t x_stride, int64_t rows, int64_t cols, float eps);
void softmax_grad(float* d_x, int64_t d_x_stride, const float* d_y, int64_t d_y_stride, const float* y,
                  int64_t y_stride, int64_t rows, int64_t cols, float scale);
void activation_grad(float* d_x, const float* d_y, const float* x, int64_t count, Activation kind);
void gated_activation_grad(float* d_gate, float* d_value, int64_t d_in_stride, const float* d_y, int64_t d_y_stride,
                           const float* gate, const float* value, int64_t in_stride, int64_t rows, int64_t cols,
                           Activation kind);
int64_t attention_grad_workspace_size(int64_t q_rows, int64_t kv_rows, int64_t qk_dim, int64_t v_dim);
void attention_grad(const AttentionGradArgs& args, float* workspace);
void gather_rows(float* columns, const IndirectRows& a, int64_t r0, int64_t r1);
void scatter_rows(float* images, const float* columns, const IndirectRows& a, int64_t r0, int64_t r1);
void conv_depthwise_grad(float* d_weight, float* d_images, const DepthwiseArgs& args, int64_t r0, int64_t r1);
void adamw(float* p, float* m, float* v, const float* g, int64_t count, const AdamWStep& step);
double sum_of_squares(const float* x, int64_t count);

extern const GroupKernels kGroupKernels;  // reference_group.cpp
extern const TensorKernels kTensorKernels;

}  // namespace vit::kernels::reference
