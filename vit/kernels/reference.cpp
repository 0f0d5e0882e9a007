// The scalar oracle: every kernel of the table written the plain way, sums in double. Tests compare the vector kernels
// with it, and VITKIT_ISA=scalar runs whole models on it. Never optimise it; when it and a fast kernel differ, it is
// right.
#include "vit/kernels/reference.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "vit/kernels/kernels.h"
#include "vit/kernels/winograd.h"

namespace vit::kernels {

double reference::activate(double x, Activation kind) {
  switch (kind) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x < 0.0 ? 0.0 : x;
    case Activation::gelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::gelu_tanh:
      return x * sigmoid(2.0 * std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x));
    case Activation::quick_gelu:
      return x * sigmoid(1.702 * x);
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::tanh:
      return std::tanh(x);
    case Activation::hard_sigmoid:
      return x < -3.0 ? 0.0 : x > 3.0 ? 1.0 : x / 6.0 + 0.5;
  }
  return x;
}

namespace {

using namespace reference;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The epilogue of one element.
void finish(float* c, double acc, int64_t row, int64_t col, const Epilogue& epilogue) {
  if (epilogue.accumulate) acc += *c;
  if (epilogue.bias) acc += epilogue.bias[col];
  if (!epilogue.residual_first) acc = activate(acc, epilogue.activation);
  if (epilogue.gamma) acc *= epilogue.gamma[col];
  if (epilogue.residual) acc += epilogue.residual[row * epilogue.residual_stride + col];
  if (epilogue.residual_first) acc = activate(acc, epilogue.activation);
  *c = static_cast<float>(acc);
}

void pack_b(float* packed, const float* b, int64_t n_stride, int64_t k_stride, int64_t n, int64_t k, int64_t p0,
            int64_t p1) {
  for (int64_t p = p0; p < p1; ++p)
    for (int64_t kk = 0; kk < k; ++kk)
      for (int64_t j = 0; j < kWidth; ++j) {
        const int64_t col = p * kWidth + j;
        packed[(p * k + kk) * kWidth + j] = col < n ? b[col * n_stride + kk * k_stride] : 0.0f;
      }
}

/// Element (kk, col) of a packed matrix.
double packed_at(const float* b, int64_t k, int64_t kk, int64_t col) {
  return b[(col / kWidth * k + kk) * kWidth + col % kWidth];
}

/// element(row, kk) is the left matrix.
template <class Element>
void product(float* c, int64_t c_stride, const float* b, int64_t n, int64_t k, const Epilogue& epilogue,
             const GemmPart& part, const Element& element) {
  for (int64_t row = part.m0; row < part.m1; ++row)
    for (int64_t col = part.p0 * kWidth; col < std::min(part.p1 * kWidth, n); ++col) {
      double acc = 0.0;
      for (int64_t kk = 0; kk < k; ++kk) acc += element(row, kk) * packed_at(b, k, kk, col);
      finish(c + row * c_stride + col, acc, row, col, epilogue);
    }
}

void gemm(const GemmArgs& args, const GemmPart& part) {
  product(args.c, args.c_stride, args.b, args.n, args.k, args.epilogue, part,
          [&](int64_t row, int64_t kk) -> double { return args.a[row * args.a_stride + kk]; });
}

double indirect_at(const IndirectRows& a, int64_t row, int64_t tap, int64_t at) {
  const int64_t start = tap_start(a, row, tap);
  return start == kZeroTap ? 0.0 : a.images[start + at];
}

void gemm_indirect(const GemmIndirectArgs& args, const GemmPart& part) {
  const int64_t run = args.a.tap_length;
  product(args.c, args.c_stride, args.b, args.n, args.a.taps * run, args.epilogue, part,
          [&](int64_t row, int64_t kk) { return indirect_at(args.a, row, kk / run, kk % run); });
}

int64_t winograd_workspace_size(int64_t) { return 0; }

/// Place `place` of B^T d B for one channel of the tile whose upper left output is (y, x).
double winograd_sum(const WinogradArgs& args, int64_t image, int64_t y, int64_t x, int64_t place, int64_t ch) {
  // The two pixels of four that each difference reads, and the second's sign; the first's is positive.
  constexpr int64_t kPixels[4][2] = {{0, 2}, {1, 2}, {2, 1}, {1, 3}};
  constexpr double kSigns[4] = {-1.0, 1.0, -1.0, -1.0};
  double sum = 0.0;
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 2; ++j) {
      const int64_t row = y + kPixels[place / 4][i] - args.padding, col = x + kPixels[place % 4][j] - args.padding;
      if (row < 0 || row >= args.height || col < 0 || col >= args.width) continue;
      const double sign = (i ? kSigns[place / 4] : 1.0) * (j ? kSigns[place % 4] : 1.0);
      sum += sign * args.images[((image * args.height + row) * args.width + col) * args.channels + ch];
    }
  return sum;
}

void conv_winograd(const WinogradArgs& args, float*, const GemmPart& part) {
  // A^T: what the products of a row or column of places add to the two pixels.
  constexpr double kShares[2][4] = {{1.0, 1.0, 1.0, 0.0}, {0.0, 1.0, -1.0, -1.0}};
  const int64_t weight_floats = (args.n + kWidth - 1) / kWidth * kWidth * args.channels;
  for (int64_t tile = part.m0; tile < part.m1; ++tile)
    for (int64_t col = part.p0 * kWidth; col < std::min(part.p1 * kWidth, args.n); ++col) {
      const int64_t image = tile / args.tiles_per_image(), within = tile % args.tiles_per_image();
      const int64_t y = within / args.tile_columns() * 2, x = within % args.tile_columns() * 2;
      double pixels[4] = {};
      for (int64_t place = 0; place < kWinogradPlaces; ++place) {
        double product = 0.0;
        for (int64_t ch = 0; ch < args.channels; ++ch)
          product += winograd_sum(args, image, y, x, place, ch) *
                     packed_at(args.weight + place * weight_floats, args.channels, ch, col);
        for (int64_t i = 0; i < 4; ++i) pixels[i] += kShares[i / 2][place / 4] * kShares[i % 2][place % 4] * product;
      }
      for (int64_t i = 0; i < 4; ++i) {
        if (y + i / 2 >= args.out_h() || x + i % 2 >= args.out_w()) continue;
        const int64_t row = (image * args.out_h() + y + i / 2) * args.out_w() + x + i % 2;
        finish(args.c + row * args.c_stride + col, pixels[i], row, col, args.epilogue);
      }
    }
}

void conv_depthwise(const DepthwiseArgs& args, int64_t r0, int64_t r1) {
  const int64_t channels = args.a.tap_length;
  for (int64_t r = r0; r < r1; ++r)
    for (int64_t ch = 0; ch < channels; ++ch) {
      double acc = 0.0;
      for (int64_t tap = 0; tap < args.a.taps; ++tap)
        acc += indirect_at(args.a, r, tap, ch) * args.weight[tap * channels + ch];
      finish(args.c + r * args.c_stride + ch, acc, r, ch, args.epilogue);
    }
}

// ---- attention: keys and values are "packed" by copying them, [kv_rows, qk_dim] then [kv_rows, v_dim] ----

int64_t attention_packed_size(int64_t kv_rows, int64_t qk_dim, int64_t v_dim) { return kv_rows * (qk_dim + v_dim); }
int64_t attention_workspace_size(int64_t, int64_t v_dim) { return 2 * v_dim; }

void attention_pack(float* packed, const float* k, int64_t k_stride, const float* v, int64_t v_stride, int64_t kv_rows,
                    int64_t qk_dim, int64_t v_dim, int64_t j0, int64_t j1) {
  for (int64_t j = j0; j < j1; ++j) {
    std::copy_n(k + j * k_stride, qk_dim, packed + j * qk_dim);
    std::copy_n(v + j * v_stride, v_dim, packed + kv_rows * qk_dim + j * v_dim);
  }
}

/// Softmax of count scores given by score(j), handed out one by one; returns the log of the sum of exponentials.
template <class Score, class Take>
double softmax_of(int64_t count, const Score& score, const Take& take) {
  double best = -kInfinity, sum = 0.0;
  for (int64_t j = 0; j < count; ++j) best = std::max(best, score(j));
  if (best == -kInfinity) best = 0.0;
  for (int64_t j = 0; j < count; ++j) sum += std::exp(score(j) - best);
  for (int64_t j = 0; j < count; ++j) take(j, sum == 0.0 ? 0.0 : std::exp(score(j) - best) / sum);
  return sum == 0.0 ? -kInfinity : best + std::log(sum);
}

void attention_rows(const AttentionArgs& args, float* workspace, int64_t q0, int64_t q1) {
  auto* sums = reinterpret_cast<double*>(workspace);
  const float* values = args.packed_kv + args.kv_rows * args.qk_dim;
  for (int64_t i = q0; i < q1; ++i) {
    std::fill_n(sums, args.v_dim, 0.0);
    const auto score = [&](int64_t j) {
      const double bias = args.bias ? args.bias[i * args.bias_stride + j] : 0.0;
      return args.scale * dot(args.q + i * args.q_stride, args.packed_kv + j * args.qk_dim, args.qk_dim) + bias;
    };
    const double lse = softmax_of(args.kv_rows, score, [&](int64_t j, double p) {
      for (int64_t d = 0; d < args.v_dim; ++d) sums[d] += p * values[j * args.v_dim + d];
    });
    for (int64_t d = 0; d < args.v_dim; ++d) args.out[i * args.out_stride + d] = static_cast<float>(sums[d]);
    if (args.lse) args.lse[i] = static_cast<float>(lse);
  }
}

void attention_scores(const AttentionScoresArgs& args, int64_t q0, int64_t q1) {
  for (int64_t i = q0; i < q1; ++i) {
    const auto score = [&](int64_t j) {
      const double bias = args.bias ? args.bias[i * args.bias_stride + j] : 0.0;
      return args.scale * dot(args.q + i * args.q_stride, args.k + j * args.k_stride, args.qk_dim) + bias;
    };
    softmax_of(args.kv_rows, score, [&](int64_t j, double p) {
      args.probabilities[i * args.probabilities_stride + j] = static_cast<float>(p);
    });
  }
}

// ---- rows ----

void layer_norm(float* y, int64_t y_stride, float* mean, float* rstd, const float* x, int64_t x_stride,
                const float* gamma, const float* beta, int64_t rows, int64_t cols, float eps) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * x_stride;
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < cols; ++i) sum += x_r[i];
    const double m = sum / static_cast<double>(cols);
    for (int64_t i = 0; i < cols; ++i) squares += (x_r[i] - m) * (x_r[i] - m);
    const double s = 1.0 / std::sqrt(squares / static_cast<double>(cols) + eps);
    for (int64_t i = 0; i < cols; ++i)
      y[r * y_stride + i] = static_cast<float>((x_r[i] - m) * s * (gamma ? gamma[i] : 1.0f) + (beta ? beta[i] : 0.0f));
    if (mean) mean[r] = static_cast<float>(m);
    if (rstd) rstd[r] = static_cast<float>(s);
  }
}

void rms_norm(float* y, int64_t y_stride, float* rstd, const float* x, int64_t x_stride, const float* gamma,
              int64_t rows, int64_t cols, float eps) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * x_stride;
    const double s = 1.0 / std::sqrt(dot(x_r, x_r, cols) / static_cast<double>(cols) + eps);
    for (int64_t i = 0; i < cols; ++i) y[r * y_stride + i] = static_cast<float>(x_r[i] * s * (gamma ? gamma[i] : 1.0f));
    if (rstd) rstd[r] = static_cast<float>(s);
  }
}

void l2_norm(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows, int64_t cols, float eps) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * x_stride;
    const double length = std::max(std::sqrt(dot(x_r, x_r, cols)), static_cast<double>(eps));
    for (int64_t i = 0; i < cols; ++i) y[r * y_stride + i] = static_cast<float>(x_r[i] / length);
  }
}

void softmax(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows, int64_t cols, float scale) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* x_r = x + r * x_stride;
    double best = -kInfinity, sum = 0.0;
    for (int64_t i = 0; i < cols; ++i) best = std::max(best, static_cast<double>(x_r[i]) * scale);
    if (best == -kInfinity) best = 0.0;
    for (int64_t i = 0; i < cols; ++i) sum += std::exp(static_cast<double>(x_r[i]) * scale - best);
    // Element by element and after the sum is known: y may be x.
    for (int64_t i = 0; i < cols; ++i) {
      const double p = std::exp(static_cast<double>(x_r[i]) * scale - best);
      y[r * y_stride + i] = static_cast<float>(sum == 0.0 ? 0.0 : p / sum);
    }
  }
}

void mean_rows(float* y, const float* x, int64_t x_stride, int64_t rows, int64_t cols) {
  for (int64_t c = 0; c < cols; ++c) {
    double sum = 0.0;
    for (int64_t r = 0; r < rows; ++r) sum += x[r * x_stride + c];
    y[c] = rows > 0 ? static_cast<float>(sum / static_cast<double>(rows)) : 0.0f;
  }
}

void transpose(float* y, int64_t y_stride, const float* x, int64_t x_stride, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) y[c * y_stride + r] = x[r * x_stride + c];
}

// ---- elements ----

void activation(float* y, const float* x, int64_t count, Activation kind) {
  for (int64_t i = 0; i < count; ++i) y[i] = static_cast<float>(activate(x[i], kind));
}

void gated_activation(float* y, int64_t y_stride, const float* gate, const float* value, int64_t in_stride,
                      int64_t rows, int64_t cols, Activation kind) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < cols; ++i)
      y[r * y_stride + i] =
          static_cast<float>(activate(gate[r * in_stride + i], kind) * static_cast<double>(value[r * in_stride + i]));
}

void add(float* y, const float* a, const float* b, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = a[i] + b[i];
}

void multiply(float* y, const float* a, const float* b, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = a[i] * b[i];
}

void scale(float* y, const float* x, float factor, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] * factor;
}

void scale_add(float* y, const float* a, const float* b, const float* gamma, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < cols; ++c) {
      const int64_t i = r * cols + c;
      y[i] = static_cast<float>(a[i] + static_cast<double>(gamma[c]) * b[i]);
    }
}

void normalize_u8(float* y, int64_t plane_stride, const uint8_t* x, int64_t width, float scale, const float* mean,
                  const float* std) {
  for (int64_t i = 0; i < width; ++i)
    for (int64_t c = 0; c < 3; ++c)
      y[c * plane_stride + i] = (static_cast<float>(x[3 * i + c]) * scale - mean[c]) / std[c];
}

float fma_peak(int64_t iterations, int64_t* flops) {
  double acc = 0.0;
  for (int64_t i = 0; i < iterations; ++i) acc = acc * 0.999 + 0.001;
  *flops = 2 * iterations;
  return static_cast<float>(acc);
}

constexpr KernelTable kTable = {
    .isa = Isa::scalar,
    .name = "scalar",
    .vector_width = 1,
    .panel_width = kWidth,
    .tile_rows = 1,
    .pack_b = pack_b,
    .gemm = gemm,
    .gemm_indirect = gemm_indirect,
    .winograd_workspace_size = winograd_workspace_size,
    .conv_winograd = conv_winograd,
    .conv_depthwise = conv_depthwise,
    .attention_packed_size = attention_packed_size,
    .attention_workspace_size = attention_workspace_size,
    .attention_pack = attention_pack,
    .attention_rows = attention_rows,
    .attention_scores = attention_scores,
    .layer_norm = layer_norm,
    .rms_norm = rms_norm,
    .l2_norm = l2_norm,
    .softmax = softmax,
    .mean_rows = mean_rows,
    .transpose = transpose,
    .activation = activation,
    .gated_activation = gated_activation,
    .add = add,
    .multiply = multiply,
    .scale = scale,
    .scale_add = scale_add,
    .normalize_u8 = normalize_u8,
    .gemm_transposed = reference::gemm_transposed,
    .sum_rows = reference::sum_rows,
    .sum_rows_product = reference::sum_rows_product,
    .layer_norm_grad = reference::layer_norm_grad,
    .rms_norm_grad = reference::rms_norm_grad,
    .l2_norm_grad = reference::l2_norm_grad,
    .softmax_grad = reference::softmax_grad,
    .activation_grad = reference::activation_grad,
    .gated_activation_grad = reference::gated_activation_grad,
    .attention_grad_workspace_size = reference::attention_grad_workspace_size,
    .attention_grad = reference::attention_grad,
    .gather_rows = reference::gather_rows,
    .scatter_rows = reference::scatter_rows,
    .conv_depthwise_grad = reference::conv_depthwise_grad,
    .adamw = reference::adamw,
    .sum_of_squares = reference::sum_of_squares,
    .groups = &reference::kGroupKernels,
    .tensors = &reference::kTensorKernels,
    .fma_peak = fma_peak,
};

}  // namespace

const KernelTable& table_scalar();
const KernelTable& table_scalar() { return kTable; }

}  // namespace vit::kernels
