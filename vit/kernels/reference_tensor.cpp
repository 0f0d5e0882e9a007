// The scalar oracle of the tensor kernels: the plain way, in double. See reference.cpp.
#include <cmath>
#include <cstdint>
#include <limits>

#include "vit/kernels/reference.h"
#include "vit/kernels/tensor_kernels.h"

namespace vit::kernels {

namespace {

double combine(Binary f, double a, double b) {
  switch (f) {
    case Binary::add:
      return a + b;
    case Binary::subtract:
      return a - b;
    case Binary::multiply:
      return a * b;
    case Binary::divide:
      return a / b;
    case Binary::equal:
      return a == b ? 1.0 : 0.0;
  }
  return a;
}

void binary(Binary f, float* y, int64_t y_stride, const BroadcastOperand& a, const BroadcastOperand& b, int64_t rows,
            int64_t cols) {
  const auto at = [](const BroadcastOperand& operand, int64_t r, int64_t c) {
    return operand.data[r * operand.row_stride + c * operand.col_stride];
  };
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) y[r * y_stride + c] = static_cast<float>(combine(f, at(a, r, c), at(b, r, c)));
}

double evaluate(Unary f, double x) {
  switch (f) {
    case Unary::exp:
      return std::exp(x);
    case Unary::log:
      return std::log(x);
    case Unary::square:
      return x * x;
    case Unary::sqrt:
      return std::sqrt(x);
    case Unary::reciprocal:
      return 1.0 / x;
    case Unary::elu_plus_one:
      return x < 0.0 ? std::exp(x) : x + 1.0;
  }
  return x;
}

double slope(Unary f, double x) {
  switch (f) {
    case Unary::exp:
      return std::exp(x);
    case Unary::log:
      return 1.0 / x;
    case Unary::square:
      return 2.0 * x;
    case Unary::sqrt:
      return 0.5 / std::sqrt(x);
    case Unary::reciprocal:
      return -1.0 / (x * x);
    case Unary::elu_plus_one:
      return x < 0.0 ? std::exp(x) : 1.0;
  }
  return 1.0;
}

void unary(Unary f, float* y, const float* x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(evaluate(f, x[i]));
}

void unary_grad(Unary f, float* d_x, const float* d_y, const float* x, const float*, int64_t count) {
  for (int64_t i = 0; i < count; ++i) d_x[i] = static_cast<float>(d_y[i] * slope(f, x[i]));
}

void copy(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) y[r * y_stride + c] = x[r * x_stride + c];
}

void shift(float* y, const float* x, float value, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] + value;
}

void row_sums(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0.0;
    for (int64_t c = 0; c < cols; ++c) sum += x[r * x_stride + c];
    y[r] = static_cast<float>(sum);
  }
}

void row_dots(float* y, const float* x, int64_t x_stride, const float* b, int64_t rows, int64_t cols, float scale) {
  for (int64_t r = 0; r < rows; ++r) y[r] = static_cast<float>(scale * reference::dot(x + r * x_stride, b, cols));
}

/// The largest of `count` floats `step` apart, or the NaN among them.
float largest(const float* x, int64_t step, int64_t count) {
  float best = x[0];
  for (int64_t i = 1; i < count; ++i)
    if (std::isnan(x[i * step]) || x[i * step] > best) best = x[i * step];
  return best;
}

void row_maxima(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) y[r] = largest(x + r * x_stride, 1, cols);
}

void column_maxima(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols) {
  for (int64_t c = 0; c < cols; ++c) y[c] = largest(x + c, x_stride, rows);
}

void gathered_sum(float* y, const float* const* rows, const float* weights, int64_t row_count, int64_t cols) {
  for (int64_t c = 0; c < cols; ++c) {
    double sum = 0.0;
    for (int64_t i = 0; i < row_count; ++i) sum += static_cast<double>(weights[i]) * rows[i][c];
    y[c] = static_cast<float>(sum);
  }
}

void gathered_dots(float* y, const float* const* rows, const float* x, int64_t row_count, int64_t cols) {
  for (int64_t i = 0; i < row_count; ++i) y[i] = static_cast<float>(reference::dot(rows[i], x, cols));
}

void scattered_add(float* const* rows, const float* weights, const float* x, int64_t row_count, int64_t cols) {
  for (int64_t i = 0; i < row_count; ++i)
    for (int64_t c = 0; c < cols; ++c)
      rows[i][c] = static_cast<float>(rows[i][c] + static_cast<double>(weights[i]) * x[c]);
}

}  // namespace

const TensorKernels reference::kTensorKernels = {
    .binary = binary,
    .unary = unary,
    .unary_grad = unary_grad,
    .copy = copy,
    .shift = shift,
    .row_sums = row_sums,
    .row_dots = row_dots,
    .row_maxima = row_maxima,
    .column_maxima = column_maxima,
    .gathered_sum = gathered_sum,
    .gathered_dots = gathered_dots,
    .scattered_add = scattered_add,
};

}  // namespace vit::kernels
