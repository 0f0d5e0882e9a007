// The matrix products of gradients, shared by linear and convolutions. Internal to vit/autograd.
#pragma once

#include <cstdint>

#include "vit/autograd/tape.h"

namespace vit {

/// d_weight [n, k] (+)= d_y^T x for x [m, k] and d_y [m, n], whose rows are d_y_stride apart.
void weight_gradient(Tape& tape, const float* d_y, int64_t d_y_stride, const float* x, float* d_weight, int64_t m,
                     int64_t n, int64_t k, bool accumulate);

/// d_x [m, k] = (gamma * d_y) weight for d_y [m, n] and weight [n, k]; gamma [n] may be null.
void input_gradient(Tape& tape, const float* d_y, const Tensor& weight, const float* gamma, float* d_x, int64_t m,
                    int64_t n, int64_t k);

/// y [cols] = column sums of x [rows, cols], in fixed parts.
Tensor column_sums(Tape& tape, const Tensor& x, int64_t rows, int64_t cols);

/// weight [n, k], its rows times gamma [n] where that is not null, packed as the right-hand side of a product over n.
Tensor pack_for_input_gradient(Tape& tape, const Tensor& weight, const float* gamma, int64_t n, int64_t k);

}  // namespace vit
