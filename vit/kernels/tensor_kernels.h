// The kernels behind the ops on tensors of any rank (vit/autograd/tensor_ops.h): elementwise functions of one and of
// two tensors with broadcasting, reductions, and sums over rows that lie anywhere. A table of its own; the rules are
// those of kernels.h.
#pragma once

#include <cstdint>

namespace vit::kernels {

/// Functions of two elements. `equal` gives 1 or 0.
enum class Binary : int32_t { add, subtract, multiply, divide, equal };

/// Functions of one element.
enum class Unary : int32_t {
  exp,
  log,
  square,
  sqrt,
  reciprocal,
  elu_plus_one,  ///< e^x below zero, x + 1 above
};

/// A tensor as two axes of its broadcast form: element (r, c) is data[r * row_stride + c * col_stride]. col_stride is
/// 1, or 0 where one number serves a whole row; row_stride may be anything, 0 where one row serves all.
struct BroadcastOperand {
  const float* data = nullptr;
  int64_t row_stride = 0, col_stride = 1;
};

struct TensorKernels {
  /// y [rows, cols], rows y_stride apart, = f(a, b). y may be the data of a or of b where that is not broadcast.
  void (*binary)(Binary f, float* y, int64_t y_stride, const BroadcastOperand& a, const BroadcastOperand& b,
                 int64_t rows, int64_t cols);
  /// y = f(x). y may be x.
  void (*unary)(Unary f, float* y, const float* x, int64_t count);
  /// d_x = d_y * f'(x), from the argument x and the value y = f(x). d_x may be d_y.
  void (*unary_grad)(Unary f, float* d_x, const float* d_y, const float* x, const float* y, int64_t count);
  /// y [rows, cols] = x.
  void (*copy)(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows, int64_t cols);
  /// y = x + value. y may be x.
  void (*shift)(float* y, const float* x, float value, int64_t count);
  /// y [rows] = sum of each row of x [rows, cols]. (Sums of columns: KernelTable::sum_rows.)
  void (*row_sums)(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols);
  /// y [rows] = scale * the product of each row of x [rows, cols] with b [cols].
  void (*row_dots)(float* y, const float* x, int64_t x_stride, const float* b, int64_t rows, int64_t cols, float scale);
  /// y [rows] = maximum of each row of x [rows, cols], cols > 0. A NaN is the maximum.
  void (*row_maxima)(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols);
  /// y [cols] = maximum of each column of x [rows, cols], rows > 0. A NaN is the maximum.
  void (*column_maxima)(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols);

  // ---- rows [cols] that lie anywhere ----
  /// y [cols] = the sum of weights[i] * rows[i], in order; no rows give zeros.
  void (*gathered_sum)(float* y, const float* const* rows, const float* weights, int64_t row_count, int64_t cols);
  /// y [row_count] = the products of rows[i] with x [cols].
  void (*gathered_dots)(float* y, const float* const* rows, const float* x, int64_t row_count, int64_t cols);
  /// rows[i] += weights[i] * x [cols], in order: rows may come again.
  void (*scattered_add)(float* const* rows, const float* weights, const float* x, int64_t row_count, int64_t cols);
};

}  // namespace vit::kernels
