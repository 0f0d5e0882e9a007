// The oracle's gradients against finite differences of the oracle's functions' definitions, both in double: for random
// d_y, the directional derivative of sum(d_y * f(x)) along each element of x.
#include <functional>

#include "tests/kernels/guarded.h"
#include "vit/kernels/conv_offsets.h"

namespace vit::kernels::test {
namespace {

using Values = std::vector<double>;
using Loss = std::function<double(const Values&)>;

Values to_values(const Guarded& x) {
  Values values;
  for (int64_t i = 0; i < x.rows(); ++i)
    for (int64_t j = 0; j < x.cols(); ++j) values.push_back(x.at(i, j));
  return values;
}

/// Central differences with h = 1e-5: errors of h^2 and of 1e-16 / h, some 1e-10; the gradients are f32.
void expect_gradient(const Guarded& got, const Guarded& at, const Loss& loss) {
  Values x = to_values(at);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double value = x[i], h = 1e-5;
    x[i] = value + h;
    const double above = loss(x);
    x[i] = value - h;
    const double below = loss(x);
    x[i] = value;
    const double expected = (above - below) / (2.0 * h);
    const int64_t row = static_cast<int64_t>(i) / at.cols(), col = static_cast<int64_t>(i) % at.cols();
    ASSERT_NEAR(got.at(row, col), expected, 1e-7 + 4.0 * vit::test::kEps * std::abs(expected)) << row << ", " << col;
  }
}

double activate(double x, Activation kind) {
  const auto sigmoid = [](double u) { return 1.0 / (1.0 + std::exp(-u)); };
  switch (kind) {
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::gelu:
      return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::quick_gelu:
      return x * sigmoid(1.702 * x);
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::sigmoid:
      return sigmoid(x);
    case Activation::tanh:
      return std::tanh(x);
    case Activation::hard_sigmoid:
      return std::clamp(x / 6.0 + 0.5, 0.0, 1.0);
    default:
      return x;
  }
}

TEST(ReferenceGradTest, Activations) {
  Guarded x(1, 60), d_y(1, 60), d_x(1, 60);
  x.randomize(1, 2.0f);
  d_y.randomize(2);
  for (Activation kind :
       {Activation::none, Activation::relu, Activation::gelu, Activation::gelu_tanh, Activation::quick_gelu,
        Activation::silu, Activation::sigmoid, Activation::tanh, Activation::hard_sigmoid}) {
    SCOPED_TRACE(static_cast<int>(kind));
    oracle().activation_grad(d_x.data(), d_y.data(), x.data(), 60, kind);
    expect_gradient(d_x, x, [&](const Values& v) {
      double sum = 0.0;
      for (std::size_t i = 0; i < v.size(); ++i) sum += activate(v[i], kind) * d_y.at(0, static_cast<int64_t>(i));
      return sum;
    });
    // Gated: gates are the first half, values the second.
    oracle().gated_activation_grad(d_x.data(), d_x.data() + 30, 60, d_y.data(), 30, x.data(), x.data() + 30, 60, 1, 30,
                                   kind);
    expect_gradient(d_x, x, [&](const Values& v) {
      double sum = 0.0;
      for (std::size_t i = 0; i < 30; ++i) sum += activate(v[i], kind) * v[30 + i] * d_y.at(0, static_cast<int64_t>(i));
      return sum;
    });
  }
}

constexpr int64_t kRows = 3, kCols = 7;

/// sum over rows of sum(d_y * normalised row * gamma + beta), by a definition of the row's centre and length.
template <class Normalise>
Loss row_loss(const Guarded& d_y, const Values& gamma, const Normalise& normalise) {
  return [&d_y, gamma, normalise](const Values& x) {
    double sum = 0.0;
    for (int64_t r = 0; r < kRows; ++r) {
      const Values row(x.begin() + r * kCols, x.begin() + (r + 1) * kCols);
      const Values y = normalise(row);
      for (int64_t c = 0; c < kCols; ++c)
        sum += d_y.at(r, c) * y[static_cast<std::size_t>(c)] * gamma[static_cast<std::size_t>(c)];
    }
    return sum;
  };
}

Values layer_norm(const Values& x) {
  double mean = 0.0, variance = 0.0;
  for (double v : x) mean += v / static_cast<double>(x.size());
  for (double v : x) variance += (v - mean) * (v - mean) / static_cast<double>(x.size());
  Values y;
  for (double v : x) y.push_back((v - mean) / std::sqrt(variance + 1e-3));
  return y;
}
Values rms_norm(const Values& x) {
  double square = 0.0;
  for (double v : x) square += v * v / static_cast<double>(x.size());
  Values y;
  for (double v : x) y.push_back(v / std::sqrt(square + 1e-3));
  return y;
}
Values l2_norm(const Values& x, double eps) {
  double square = 0.0;
  for (double v : x) square += v * v;
  Values y;
  for (double v : x) y.push_back(v / std::max(std::sqrt(square), eps));
  return y;
}
Values softmax(const Values& x, double scale) {
  double sum = 0.0;
  for (double v : x) sum += std::exp(scale * v);
  Values y;
  for (double v : x) y.push_back(std::exp(scale * v) / sum);
  return y;
}

/// mean and rstd come rounded to f32; d_y is small here so that this stays below the bound.
TEST(ReferenceGradTest, Norms) {
  Guarded x(kRows, kCols), d_y(kRows, kCols), gamma(1, kCols), y(kRows, kCols), mean(kRows), rstd(kRows);
  Guarded d_x(kRows, kCols), d_gamma(1, kCols), d_beta(1, kCols), ones(1, kCols);
  x.randomize(1);
  d_y.randomize(2, 0.1f);
  gamma.randomize(3);
  const Values g = to_values(gamma), unit(kCols, 1.0);
  oracle().layer_norm(y.data(), kCols, mean.data(), rstd.data(), x.data(), kCols, nullptr, nullptr, kRows, kCols,
                      1e-3f);
  oracle().layer_norm_grad(d_x.data(), kCols, d_gamma.data(), d_beta.data(), d_y.data(), kCols, x.data(), kCols,
                           mean.data(), rstd.data(), gamma.data(), kRows, kCols);
  expect_gradient(d_x, x, row_loss(d_y, g, layer_norm));
  expect_gradient(d_gamma, gamma, [&](const Values& v) { return row_loss(d_y, v, layer_norm)(to_values(x)); });
  for (int64_t c = 0; c < kCols; ++c)
    EXPECT_NEAR(d_beta.at(0, c), static_cast<double>(d_y.at(0, c)) + d_y.at(1, c) + d_y.at(2, c), 1e-7);
  oracle().rms_norm(y.data(), kCols, rstd.data(), x.data(), kCols, nullptr, kRows, kCols, 1e-3f);
  std::fill_n(d_gamma.data(), kCols, 0.0f);
  oracle().rms_norm_grad(d_x.data(), kCols, d_gamma.data(), d_y.data(), kCols, x.data(), kCols, rstd.data(),
                         gamma.data(), kRows, kCols);
  expect_gradient(d_x, x, row_loss(d_y, g, rms_norm));
  expect_gradient(d_gamma, gamma, [&](const Values& v) { return row_loss(d_y, v, rms_norm)(to_values(x)); });
  for (float eps : {1e-12f, 100.0f}) {  // the second is longer than every row
    oracle().l2_norm_grad(d_x.data(), kCols, d_y.data(), kCols, x.data(), kCols, kRows, kCols, eps);
    expect_gradient(d_x, x, row_loss(d_y, unit, [&](const Values& v) { return l2_norm(v, eps); }));
  }
  oracle().softmax(y.data(), kCols, x.data(), kCols, kRows, kCols, 0.6f);
  oracle().softmax_grad(d_x.data(), kCols, d_y.data(), kCols, y.data(), kCols, kRows, kCols, 0.6f);
  expect_gradient(d_x, x, row_loss(d_y, unit, [](const Values& v) { return softmax(v, 0.6f); }));
}

/// sum(d_out * softmax(scale q k^T + bias) v), every row of `bias` used for the query of its number.
double attention_loss(const Values& q, const Values& k, const Values& v, const Values& bias, const Guarded& d_out,
                      int64_t kv_rows, int64_t qk_dim, double scale) {
  double loss = 0.0;
  const auto at = [](const Values& x, int64_t i) { return x[static_cast<std::size_t>(i)]; };
  for (int64_t i = 0; i < d_out.rows(); ++i) {
    Values s;
    for (int64_t j = 0; j < kv_rows; ++j) {
      double dot = 0.0;
      for (int64_t d = 0; d < qk_dim; ++d) dot += at(q, i * qk_dim + d) * at(k, j * qk_dim + d);
      s.push_back(scale * dot + at(bias, i * kv_rows + j));
    }
    const Values p = softmax(s, 1.0);
    for (int64_t j = 0; j < kv_rows; ++j)
      for (int64_t d = 0; d < d_out.cols(); ++d) loss += d_out.at(i, d) * at(p, j) * at(v, j * d_out.cols() + d);
  }
  return loss;
}

TEST(ReferenceGradTest, Attention) {
  const int64_t queries = 4, keys = 6, qk_dim = 5, v_dim = 3;
  Guarded q(queries, qk_dim), k(keys, qk_dim), v(keys, v_dim), bias(queries, keys), d_out(queries, v_dim);
  Guarded out(queries, v_dim), lse(queries), d_q(queries, qk_dim), d_k(keys, qk_dim), d_v(keys, v_dim),
      d_bias(queries, keys);
  q.randomize(1);
  k.randomize(2);
  v.randomize(3);
  bias.randomize(4);
  d_out.randomize(5, 0.1f);
  std::vector<float> packed(static_cast<std::size_t>(oracle().attention_packed_size(keys, qk_dim, v_dim)));
  alignas(64) float workspace[256];
  oracle().attention_pack(packed.data(), k.data(), qk_dim, v.data(), v_dim, keys, qk_dim, v_dim, 0, keys);
  oracle().attention_rows(
      {out.data(), v_dim, lse.data(), q.data(), qk_dim, packed.data(), bias.data(), keys, keys, qk_dim, v_dim, 0.25f},
      workspace, 0, queries);
  AttentionGradArgs args;
  args.d_q = d_q.data();
  args.d_k = d_k.data();
  args.d_v = d_v.data();
  args.d_bias = d_bias.data();
  args.d_out = d_out.data();
  args.out = out.data();
  args.lse = lse.data();
  args.q = q.data();
  args.k = k.data();
  args.v = v.data();
  args.bias = bias.data();
  args.d_q_stride = args.d_k_stride = args.q_stride = args.k_stride = qk_dim;
  args.d_v_stride = args.v_stride = args.d_out_stride = args.out_stride = v_dim;
  args.d_bias_stride = args.bias_stride = keys;
  args.q_rows = queries;
  args.kv_rows = keys;
  args.qk_dim = qk_dim;
  args.v_dim = v_dim;
  args.scale = 0.25f;
  ASSERT_LE(oracle().attention_grad_workspace_size(queries, keys, qk_dim, v_dim), 256);
  oracle().attention_grad(args, workspace);
  const Values qv = to_values(q), kv = to_values(k), vv = to_values(v), bv = to_values(bias);
  const auto loss = [&](const Values& a, const Values& b, const Values& c, const Values& d) {
    return attention_loss(a, b, c, d, d_out, keys, qk_dim, 0.25);
  };
  expect_gradient(d_q, q, [&](const Values& x) { return loss(x, kv, vv, bv); });
  expect_gradient(d_k, k, [&](const Values& x) { return loss(qv, x, vv, bv); });
  expect_gradient(d_v, v, [&](const Values& x) { return loss(qv, kv, x, bv); });
  expect_gradient(d_bias, bias, [&](const Values& x) { return loss(qv, kv, vv, x); });
}

TEST(ReferenceGradTest, ProductsAndSums) {
  Guarded a(9, 4), b(9, 5), c(4, 5), d_c(9, 5), sum(1, 5);
  a.randomize(1);
  b.randomize(2);
  d_c.randomize(3);
  // y = a w with w = c: the gradient of sum(d_c * a w) by w is a^T d_c.
  GemmTransposedArgs args{c.data(), 5, a.data(), 4, d_c.data(), 5, 5, 9, false};
  oracle().gemm_transposed(args, {0, 4, 0, panel_count(oracle(), 5)});
  Guarded w(4, 5);
  w.randomize(4);
  expect_gradient(c, w, [&](const Values& v) {
    double loss = 0.0;
    for (int64_t r = 0; r < 9; ++r)
      for (int64_t n = 0; n < 5; ++n)
        for (int64_t m = 0; m < 4; ++m)
          loss += static_cast<double>(d_c.at(r, n)) * a.at(r, m) * v[static_cast<std::size_t>(m * 5 + n)];
    return loss;
  });
  oracle().sum_rows(sum.data(), b.data(), 5, 9, 5, false);
  for (int64_t n = 0; n < 5; ++n) {
    double expected = 0.0;
    for (int64_t r = 0; r < 9; ++r) expected += b.at(r, n);
    EXPECT_NEAR(sum.at(0, n), expected, 1e-6);
  }
}

/// The gradient of a gather is its transpose: <gather(x), y> = <x, scatter(y)>; and depthwise convolution is linear in
/// images and in weights: sum(d_c * conv(x, w)) = <d_x, x> = <d_w, w>.
TEST(ReferenceGradTest, ConvolutionsAreAdjoint) {
  ConvGeometry g;
  g.height = 5;
  g.width = 6;
  g.channels = 3;
  g.kernel_h = g.kernel_w = 3;
  g.stride_w = 2;
  g.pad_top = g.pad_left = g.pad_bottom = g.pad_right = 1;
  const std::vector<int32_t> offsets = conv_offsets(g);
  const int64_t per_image = g.out_h() * g.out_w(), rows = 2 * per_image, size = 5 * 6 * 3;
  Guarded x(2, size), columns(rows, 27), y(rows, 27), back(2, size), weight(9, 3), d_c(rows, 3), c(rows, 3);
  Guarded d_weight(9, 3), d_x(2, size);
  x.randomize(1);
  y.randomize(2);
  weight.randomize(3);
  d_c.randomize(4);
  const auto inner = [](const Guarded& u, const Guarded& v) {
    const Values a = to_values(u), b = to_values(v);
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  };
  const IndirectRows a{x.data(), size, offsets.data(), nullptr, per_image, 9, 3};
  oracle().gather_rows(columns.data(), a, 0, rows);
  oracle().scatter_rows(back.data(), y.data(), a, 0, rows);
  EXPECT_NEAR(inner(columns, y), inner(x, back), 1e-4);
  DepthwiseArgs args;
  args.c = c.data();
  args.c_stride = 3;
  args.a = a;
  args.weight = weight.data();
  oracle().conv_depthwise(args, 0, rows);
  args.c = d_c.data();
  oracle().conv_depthwise_grad(d_weight.data(), d_x.data(), args, 0, rows);
  EXPECT_NEAR(inner(d_c, c), inner(d_x, x), 1e-4);
  EXPECT_NEAR(inner(d_c, c), inner(d_weight, weight), 1e-4);
}

}  // namespace
}  // namespace vit::kernels::test
