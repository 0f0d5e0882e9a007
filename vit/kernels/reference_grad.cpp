// The scalar oracle's gradients and optimiser, written from their formulas, sums in double. As reference.cpp: never
// optimise it; when it and a fast kernel differ, it is right.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "vit/kernels/reference.h"

namespace vit::kernels::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// f'(x) of an activation.
double derivative(double x, Activation kind) {
  const double c = std::sqrt(2.0 / M_PI);
  switch (kind) {
    case Activation::none:
      return 1.0;
    case Activation::relu:
      return x > 0.0 ? 1.0 : 0.0;
    case Activation::gelu:
      return 0.5 * std::erfc(-x / std::sqrt(2.0)) + x * std::exp(-0.5 * x * x) / std::sqrt(2.0 * M_PI);
    case Activation::gelu_tanh: {
      const double s = sigmoid(2.0 * c * (x + 0.044715 * x * x * x));
      return s + x * s * (1.0 - s) * 2.0 * c * (1.0 + 3.0 * 0.044715 * x * x);
    }
    case Activation::quick_gelu: {
      const double s = sigmoid(1.702 * x);
      return s + 1.702 * x * s * (1.0 - s);
    }
    case Activation::silu: {
      const double s = sigmoid(x);
      return s + x * s * (1.0 - s);
    }
    case Activation::sigmoid:
      return sigmoid(x) * sigmoid(-x);
    case Activation::tanh:
      return 4.0 * sigmoid(2.0 * x) * sigmoid(-2.0 * x);
    case Activation::hard_sigmoid:
      return x > -3.0 && x < 3.0 ? 1.0 / 6.0 : 0.0;
  }
  return 1.0;
}

}  // namespace

void gemm_transposed(const GemmTransposedArgs& args, const GemmPart& part) {
  for (int64_t row = part.m0; row < part.m1; ++row)
    for (int64_t col = part.p0 * kWidth; col < std::min(part.p1 * kWidth, args.n); ++col) {
      float& c = args.c[row * args.c_stride + col];
      double sum = args.accumulate ? c : 0.0;
      for (int64_t kk = 0; kk < args.k; ++kk)
        sum += static_cast<double>(args.a[kk * args.a_stride + row]) * args.b[kk * args.b_stride + col];
      c = static_cast<float>(sum);
    }
}

// ---- rows ----

void sum_rows(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols, bool accumulate) {
  for (int64_t c = 0; c < cols; ++c) {
    double sum = accumulate ? y[c] : 0.0;
    for (int64_t r = 0; r < rows; ++r) sum += x[r * x_stride + c];
    y[c] = static_cast<float>(sum);
  }
}

void sum_rows_product(float* y, const float* a, int64_t a_stride, const float* b, int64_t b_stride, int64_t rows,
                      int64_t cols) {
  for (int64_t c = 0; c < cols; ++c) {
    double sum = y[c];
    for (int64_t r = 0; r < rows; ++r) sum += static_cast<double>(a[r * a_stride + c]) * b[r * b_stride + c];
    y[c] = static_cast<float>(sum);
  }
}

void layer_norm_grad(float* d_x, int64_t d_x_stride, float* d_gamma, float* d_beta, const float* d_y,
                     int64_t d_y_stride, const float* x, int64_t x_stride, const float* mean, const float* rstd,
                     const float* gamma, int64_t rows, int64_t cols) {
  // The sums over rows first: d_x may be d_y.
  for (int64_t c = 0; c < cols; ++c) {
    double sum_gamma = 0.0, sum_beta = 0.0;
    for (int64_t r = 0; r < rows; ++r) {
      const double d = d_y[r * d_y_stride + c];
      sum_gamma += d * (static_cast<double>(x[r * x_stride + c]) - mean[r]) * rstd[r];
      sum_beta += d;
    }
    if (d_gamma) d_gamma[c] = static_cast<float>(d_gamma[c] + sum_gamma);
    if (d_beta) d_beta[c] = static_cast<float>(d_beta[c] + sum_beta);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const double m = mean[r], s = rstd[r], n = static_cast<double>(cols);
    const auto z = [&](int64_t c) { return (x[r * x_stride + c] - m) * s; };
    const auto g = [&](int64_t c) { return static_cast<double>(d_y[r * d_y_stride + c]) * (gamma ? gamma[c] : 1.0f); };
    double sum = 0.0, product = 0.0;
    for (int64_t c = 0; c < cols; ++c) sum += g(c), product += g(c) * z(c);
    for (int64_t c = 0; c < cols; ++c)
      d_x[r * d_x_stride + c] = static_cast<float>(s * (g(c) - sum / n - z(c) * product / n));
  }
}

void rms_norm_grad(float* d_x, int64_t d_x_stride, float* d_gamma, const float* d_y, int64_t d_y_stride, const float* x,
                   int64_t x_stride, const float* rstd, const float* gamma, int64_t rows, int64_t cols) {
  for (int64_t c = 0; c < cols && d_gamma; ++c) {
    double sum = d_gamma[c];
    for (int64_t r = 0; r < rows; ++r)
      sum += static_cast<double>(d_y[r * d_y_stride + c]) * x[r * x_stride + c] * rstd[r];
    d_gamma[c] = static_cast<float>(sum);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const double s = rstd[r];
    const auto z = [&](int64_t c) { return x[r * x_stride + c] * s; };
    const auto g = [&](int64_t c) { return static_cast<double>(d_y[r * d_y_stride + c]) * (gamma ? gamma[c] : 1.0f); };
    double product = 0.0;
    for (int64_t c = 0; c < cols; ++c) product += g(c) * z(c);
    for (int64_t c = 0; c < cols; ++c)
      d_x[r * d_x_stride + c] = static_cast<float>(s * (g(c) - z(c) * product / static_cast<double>(cols)));
  }
}

void l2_norm_grad(float* d_x, int64_t d_x_stride, const float* d_y, int64_t d_y_stride, const float* x,
                  int64_t x_stride, int64_t rows, int64_t cols, float eps) {
  for (int64_t r = 0; r < rows; ++r) {
    const float *x_r = x + r * x_stride, *d_y_r = d_y + r * d_y_stride;
    const double length = std::sqrt(dot(x_r, x_r, cols)), product = dot(d_y_r, x_r, cols);
    for (int64_t c = 0; c < cols; ++c)
      d_x[r * d_x_stride + c] = static_cast<float>(length < static_cast<double>(eps)
                                                       ? d_y_r[c] / static_cast<double>(eps)
                                                       : (d_y_r[c] - x_r[c] * product / (length * length)) / length);
  }
}

void softmax_grad(float* d_x, int64_t d_x_stride, const float* d_y, int64_t d_y_stride, const float* y,
                  int64_t y_stride, int64_t rows, int64_t cols, float scale) {
  for (int64_t r = 0; r < rows; ++r) {
    const float *y_r = y + r * y_stride, *d_y_r = d_y + r * d_y_stride;
    const double product = dot(d_y_r, y_r, cols);
    for (int64_t c = 0; c < cols; ++c)
      d_x[r * d_x_stride + c] = static_cast<float>(static_cast<double>(scale) * y_r[c] * (d_y_r[c] - product));
  }
}

// ---- elements ----

void activation_grad(float* d_x, const float* d_y, const float* x, int64_t count, Activation kind) {
  for (int64_t i = 0; i < count; ++i) d_x[i] = static_cast<float>(d_y[i] * derivative(x[i], kind));
}

void gated_activation_grad(float* d_gate, float* d_value, int64_t d_in_stride, const float* d_y, int64_t d_y_stride,
                           const float* gate, const float* value, int64_t in_stride, int64_t rows, int64_t cols,
                           Activation kind) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) {
      const double d = d_y[r * d_y_stride + c], g = gate[r * in_stride + c], v = value[r * in_stride + c];
      d_gate[r * d_in_stride + c] = static_cast<float>(d * v * derivative(g, kind));
      d_value[r * d_in_stride + c] = static_cast<float>(d * activate(g, kind));
    }
}

// ---- attention: the workspace holds d_k, d_v of all keys and d_q of one query, in double ----

int64_t attention_grad_workspace_size(int64_t, int64_t kv_rows, int64_t qk_dim, int64_t v_dim) {
  return 2 * (kv_rows * (qk_dim + v_dim) + qk_dim);
}

void attention_grad(const AttentionGradArgs& args, float* workspace) {
  const int64_t kv_rows = args.kv_rows, qk_dim = args.qk_dim, v_dim = args.v_dim;
  auto* d_k = reinterpret_cast<double*>(workspace);
  double *d_v = d_k + kv_rows * qk_dim, *d_q = d_v + kv_rows * v_dim;
  std::fill_n(d_k, kv_rows * (qk_dim + v_dim), 0.0);
  for (int64_t i = 0; i < args.q_rows; ++i) {
    const float *q = args.q + i * args.q_stride, *d_out = args.d_out + i * args.d_out_stride;
    const double delta = dot(d_out, args.out + i * args.out_stride, v_dim), lse = args.lse[i];
    std::fill_n(d_q, qk_dim, 0.0);
    for (int64_t j = 0; j < kv_rows; ++j) {
      const float *k = args.k + j * args.k_stride, *v = args.v + j * args.v_stride;
      const double bias = args.bias ? args.bias[i * args.bias_stride + j] : 0.0;
      const double p = lse == -kInfinity ? 0.0 : std::exp(args.scale * dot(q, k, qk_dim) + bias - lse);
      const double d_s = p * (dot(d_out, v, v_dim) - delta);
      for (int64_t d = 0; d < v_dim; ++d) d_v[j * v_dim + d] += p * d_out[d];
      for (int64_t d = 0; d < qk_dim; ++d) {
        d_k[j * qk_dim + d] += args.scale * d_s * q[d];
        d_q[d] += args.scale * d_s * k[d];
      }
      if (args.d_bias) {
        float& d_bias = args.d_bias[i * args.d_bias_stride + j];
        d_bias = static_cast<float>(d_bias + d_s);
      }
    }
    for (int64_t d = 0; d < qk_dim; ++d) args.d_q[i * args.d_q_stride + d] = static_cast<float>(d_q[d]);
  }
  const auto finish = [&](float* y, double x) { *y = static_cast<float>(args.accumulate_kv ? *y + x : x); };
  for (int64_t j = 0; j < kv_rows; ++j) {
    for (int64_t d = 0; d < qk_dim; ++d) finish(args.d_k + j * args.d_k_stride + d, d_k[j * qk_dim + d]);
    for (int64_t d = 0; d < v_dim; ++d) finish(args.d_v + j * args.d_v_stride + d, d_v[j * v_dim + d]);
  }
}

// ---- convolutions ----

void gather_rows(float* columns, const IndirectRows& a, int64_t r0, int64_t r1) {
  for (int64_t r = r0; r < r1; ++r)
    for (int64_t tap = 0; tap < a.taps; ++tap)
      for (int64_t at = 0; at < a.tap_length; ++at) {
        const int64_t start = tap_start(a, r, tap);
        *columns++ = start == kZeroTap ? 0.0f : a.images[start + at];
      }
}

void scatter_rows(float* images, const float* columns, const IndirectRows& a, int64_t r0, int64_t r1) {
  for (int64_t r = r0; r < r1; ++r)
    for (int64_t tap = 0; tap < a.taps; ++tap)
      for (int64_t at = 0; at < a.tap_length; ++at, ++columns) {
        const int64_t start = tap_start(a, r, tap);
        if (start != kZeroTap) images[start + at] += *columns;
      }
}

void conv_depthwise_grad(float* d_weight, float* d_images, const DepthwiseArgs& args, int64_t r0, int64_t r1) {
  const IndirectRows& a = args.a;
  const int64_t channels = a.tap_length;
  for (int64_t tap = 0; tap < a.taps; ++tap)
    for (int64_t ch = 0; ch < channels; ++ch) {
      double sum = 0.0;
      for (int64_t r = r0; r < r1; ++r) {
        const int64_t start = tap_start(a, r, tap);
        if (start == kZeroTap) continue;
        const double d_c = args.c[r * args.c_stride + ch];
        if (d_weight) sum += d_c * a.images[start + ch];
        if (d_images)
          d_images[start + ch] = static_cast<float>(d_images[start + ch] + d_c * args.weight[tap * channels + ch]);
      }
      if (d_weight) d_weight[tap * channels + ch] = static_cast<float>(d_weight[tap * channels + ch] + sum);
    }
}

// ---- optimisation ----

void adamw(float* p, float* m, float* v, const float* g, int64_t count, const AdamWStep& step) {
  for (int64_t i = 0; i < count; ++i) {
    const double g_i = static_cast<double>(g[i]) * step.grad_scale;
    const double m_i = step.beta1 * m[i] + (1.0 - step.beta1) * g_i;
    const double v_i = step.beta2 * v[i] + (1.0 - step.beta2) * g_i * g_i;
    const double decayed = p[i] - static_cast<double>(step.lr_times_decay) * p[i];
    p[i] = static_cast<float>(decayed - step.step_size * m_i / (std::sqrt(v_i) * step.inv_sqrt_correction2 + step.eps));
    m[i] = static_cast<float>(m_i);
    v[i] = static_cast<float>(v_i);
  }
}

double sum_of_squares(const float* x, int64_t count) { return dot(x, x, count); }

}  // namespace vit::kernels::reference
