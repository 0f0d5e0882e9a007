// The scalar oracle against the definitions written as xtensor expressions in double, so that the oracle itself stands
// on something readable.
#include <xtensor/xadapt.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

#include "tests/kernels/guarded.h"

namespace vit::kernels::test {
namespace {

using Matrix = xt::xtensor<double, 2>;

Matrix to_matrix(const Guarded& x) {
  Matrix m = xt::zeros<double>({x.rows(), x.cols()});
  for (int64_t i = 0; i < x.rows(); ++i)
    for (int64_t j = 0; j < x.cols(); ++j) m(i, j) = x.at(i, j);
  return m;
}

/// a [m, k] * b [n, k]^T by broadcasting: nothing but a product and a sum.
Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c =
      xt::sum(xt::view(a, xt::all(), xt::newaxis(), xt::all()) * xt::view(b, xt::newaxis(), xt::all(), xt::all()), 2);
  return c;
}

/// One value per row as a column, for broadcasting.
template <class Reduction>
Matrix column(const Reduction& reduction) {
  const xt::xtensor<double, 1> values = reduction;
  Matrix m = xt::view(values, xt::all(), xt::newaxis());
  return m;
}

Matrix softmax(const Matrix& x) {
  const Matrix e = xt::exp(x - column(xt::amax(x, {1})));
  Matrix p = e / column(xt::sum(e, {1}));
  return p;
}

void expect_matrix(const Guarded& got, const Matrix& expected) {
  for (int64_t i = 0; i < got.rows(); ++i)
    for (int64_t j = 0; j < got.cols(); ++j)
      ASSERT_NEAR(got.at(i, j), expected(i, j), rounding_tolerance(1, 1.0 + std::abs(expected(i, j))))
          << i << ", " << j;
}

TEST(ReferenceTest, GemmIsTheDefinition) {
  Guarded a(6, 9), w(7, 9), bias(1, 7), gamma(1, 7), residual(6, 7), c(6, 7);
  a.randomize(1);
  w.randomize(2);
  bias.randomize(3);
  gamma.randomize(4);
  residual.randomize(5);
  std::vector<float> packed(static_cast<std::size_t>(packed_size(oracle(), 7, 9)));
  oracle().pack_b(packed.data(), w.data(), 9, 1, 7, 9, 0, panel_count(oracle(), 7));
  GemmArgs args;
  args.c = c.data();
  args.c_stride = 7;
  args.a = a.data();
  args.a_stride = 9;
  args.b = packed.data();
  args.n = 7;
  args.k = 9;
  args.epilogue.bias = bias.data();
  args.epilogue.activation = Activation::gelu;
  args.epilogue.gamma = gamma.data();
  args.epilogue.residual = residual.data();
  args.epilogue.residual_stride = 7;
  oracle().gemm(args, {0, 6, 0, panel_count(oracle(), 7)});
  const Matrix z = product(to_matrix(a), to_matrix(w)) + to_matrix(bias);
  const Matrix y = to_matrix(residual) + to_matrix(gamma) * (0.5 * z * (1.0 + xt::erf(z / std::sqrt(2.0))));
  expect_matrix(c, y);
}

TEST(ReferenceTest, AttentionIsTheDefinition) {
  Guarded q(5, 8), k(11, 8), v(11, 6), bias(5, 11), out(5, 6), lse(5), probabilities(5, 11);
  q.randomize(1);
  k.randomize(2);
  v.randomize(3);
  bias.randomize(4);
  std::vector<float> packed(static_cast<std::size_t>(oracle().attention_packed_size(11, 8, 6)));
  alignas(64) float workspace[64];
  oracle().attention_pack(packed.data(), k.data(), 8, v.data(), 6, 11, 8, 6, 0, 11);
  const AttentionArgs args{out.data(), 6, lse.data(), q.data(), 8, packed.data(), bias.data(), 11, 11, 8, 6, 0.25f};
  oracle().attention_rows(args, workspace, 0, 5);
  const AttentionScoresArgs scores{probabilities.data(), 11, q.data(), 8, k.data(), 8, bias.data(), 11, 11, 8, 0.25f};
  oracle().attention_scores(scores, 0, 5);
  const Matrix s = 0.25 * product(to_matrix(q), to_matrix(k)) + to_matrix(bias);
  const Matrix p = softmax(s);
  expect_matrix(probabilities, p);
  expect_matrix(out, product(p, xt::transpose(to_matrix(v))));
  expect_matrix(lse, xt::transpose(xt::log(column(xt::sum(xt::exp(s), {1})))));
}

TEST(ReferenceTest, RowsAreTheirDefinitions) {
  Guarded x(4, 13), gamma(1, 13), beta(1, 13), y(4, 13);
  x.randomize(1, 3.0f);
  gamma.randomize(2);
  beta.randomize(3);
  const Matrix m = to_matrix(x);
  oracle().layer_norm(y.data(), 13, nullptr, nullptr, x.data(), 13, gamma.data(), beta.data(), 4, 13, 1e-5f);
  const Matrix centred = m - column(xt::mean(m, {1}));
  const Matrix variance = column(xt::mean(centred * centred, {1}));
  expect_matrix(y, centred / xt::sqrt(variance + static_cast<double>(1e-5f)) * to_matrix(gamma) + to_matrix(beta));
  oracle().rms_norm(y.data(), 13, nullptr, x.data(), 13, gamma.data(), 4, 13, 1e-5f);
  const Matrix squares = column(xt::mean(m * m, {1}));
  expect_matrix(y, m / xt::sqrt(squares + static_cast<double>(1e-5f)) * to_matrix(gamma));
  oracle().l2_norm(y.data(), 13, x.data(), 13, 4, 13, 1e-12f);
  expect_matrix(y, m / xt::sqrt(column(xt::sum(m * m, {1}))));
  oracle().softmax(y.data(), 13, x.data(), 13, 4, 13, 0.5f);
  expect_matrix(y, softmax(0.5 * m));
  Guarded mean(1, 13);
  oracle().mean_rows(mean.data(), x.data(), 13, 4, 13);
  expect_matrix(mean, xt::transpose(column(xt::mean(m, {0}))));
}

TEST(ReferenceTest, ActivationsAreTheirDefinitions) {
  Guarded x(1, 400), y(1, 400);
  x.randomize(1, 3.0f);
  const Matrix m = to_matrix(x);
  const auto check = [&](Activation kind, const Matrix& expected) {
    oracle().activation(y.data(), x.data(), 400, kind);
    expect_matrix(y, expected);
  };
  check(Activation::none, m);
  check(Activation::relu, xt::maximum(m, 0.0));
  check(Activation::gelu, 0.5 * m * (1.0 + xt::erf(m / std::sqrt(2.0))));
  check(Activation::gelu_tanh, 0.5 * m * (1.0 + xt::tanh(std::sqrt(2.0 / M_PI) * (m + 0.044715 * m * m * m))));
  check(Activation::quick_gelu, m / (1.0 + xt::exp(-1.702 * m)));
  check(Activation::silu, m / (1.0 + xt::exp(-m)));
  check(Activation::sigmoid, 1.0 / (1.0 + xt::exp(-m)));
  check(Activation::tanh, xt::tanh(m));
  check(Activation::hard_sigmoid, xt::clip(m / 6.0 + 0.5, 0.0, 1.0));
}

}  // namespace
}  // namespace vit::kernels::test
