// Sums over rows and the gradients of norms and softmax against the oracle: ragged, strided, in place, added to.
#include <cstring>

#include "tests/kernels/guarded.h"

namespace vit::kernels::test {
namespace {

const int64_t kCols[] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 65, 100, 192, 771};
const int64_t kRows[] = {0, 1, 3, 4, 5, 18};

class NormGradTest : public KernelTest {};
VITKIT_TEST_EVERY_ISA(NormGradTest);

TEST_P(NormGradTest, SumsOverRowsMatchOracle) {
  for (int64_t cols : kCols)
    for (int64_t rows : {0, 1, 5, 127, 128, 300}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << cols);
      Guarded a(rows, cols, 3), b(rows, cols, 1), got(cols), expected(cols);
      a.randomize(1);
      b.randomize(2);
      const auto tolerance = [&](int64_t, int64_t) { return rounding_tolerance(rows + 1, 40.0); };
      for (bool accumulate : {false, true}) {
        got.randomize(3);
        expected.copy_from(got);
        table().sum_rows(got.data(), a.data(), a.stride(), rows, cols, accumulate);
        oracle().sum_rows(expected.data(), a.data(), a.stride(), rows, cols, accumulate);
        expect_near(got, expected, tolerance);
      }
      table().sum_rows_product(got.data(), a.data(), a.stride(), b.data(), b.stride(), rows, cols);
      oracle().sum_rows_product(expected.data(), a.data(), a.stride(), b.data(), b.stride(), rows, cols);
      expect_near(got, expected, tolerance);
    }
}

/// Operands of a norm's gradient with the statistics of the oracle's forward pass.
struct NormProblem {
  Guarded x, d_y, gamma, mean, rstd, y;
  NormProblem(int64_t rows, int64_t cols)
      : x(rows, cols, 2), d_y(rows, cols, 3), gamma(cols), mean(rows), rstd(rows), y(rows, cols) {
    x.randomize(1, 2.0f);
    d_y.randomize(2);
    gamma.randomize(3);
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < cols; ++j) x.at(i, j) += 3.0f;
  }
};

/// rstd * (g - mean g - z * mean(g z)), z of deviation 1: a few roundings of |g| * rstd, and the means'.
double d_x_tolerance(const NormProblem& p, int64_t row) {
  const int64_t cols = p.x.cols();
  double largest = 0.0;
  for (int64_t j = 0; j < cols; ++j) largest = std::max(largest, std::abs(static_cast<double>(p.d_y.at(row, j))));
  double gamma = 1.0;
  for (int64_t j = 0; j < cols; ++j) gamma = std::max(gamma, std::abs(static_cast<double>(p.gamma.at(0, j))));
  // z carries the rounding of x - mean, of values around 10, times rstd.
  const double z_error = rounding_tolerance(2, 10.0) * p.rstd.at(0, row);
  return p.rstd.at(0, row) * gamma * largest * (rounding_tolerance(cols, 8.0) + 8.0 * z_error);
}

TEST_P(NormGradTest, LayerNormGradMatchesOracle) {
  for (int64_t cols : kCols)
    for (int64_t rows : kRows)
      for (bool affine : {false, true}) {
        SCOPED_TRACE(testing::Message() << rows << " x " << cols << (affine ? " affine" : ""));
        NormProblem p(rows, cols);
        oracle().layer_norm(p.y.data(), p.y.stride(), p.mean.data(), p.rstd.data(), p.x.data(), p.x.stride(), nullptr,
                            nullptr, rows, cols, 1e-2f);
        Guarded d_x(rows, cols, 1), expected(rows, cols, 1), sums(2, cols, 1), expected_sums(2, cols, 1);
        sums.randomize(4);
        expected_sums.copy_from(sums);
        const auto run = [&](const KernelTable& t, Guarded& out, const Guarded& d_y, Guarded* sum) {
          t.layer_norm_grad(out.data(), out.stride(), sum ? sum->row(0) : nullptr, sum ? sum->row(1) : nullptr,
                            d_y.data(), d_y.stride(), p.x.data(), p.x.stride(), p.mean.data(), p.rstd.data(),
                            affine ? p.gamma.data() : nullptr, rows, cols);
        };
        run(table(), d_x, p.d_y, &sums);
        run(oracle(), expected, p.d_y, &expected_sums);
        expect_near(d_x, expected, [&](int64_t i, int64_t) { return d_x_tolerance(p, i); });
        expect_near(sums, expected_sums, [&](int64_t, int64_t) { return rounding_tolerance(rows + 4, 100.0); });
        Guarded in_place(rows, cols, 3);
        in_place.copy_from(p.d_y);
        run(table(), in_place, in_place, nullptr);
        expect_near(in_place, d_x, [](int64_t, int64_t) { return 0.0; });
        EXPECT_TRUE(p.gamma.untouched_outside() && p.mean.untouched_outside() && p.rstd.untouched_outside());
      }
}

TEST_P(NormGradTest, RmsNormGradMatchesOracle) {
  for (int64_t cols : kCols)
    for (int64_t rows : kRows)
      for (bool affine : {false, true}) {
        SCOPED_TRACE(testing::Message() << rows << " x " << cols << (affine ? " affine" : ""));
        NormProblem p(rows, cols);
        oracle().rms_norm(p.y.data(), p.y.stride(), p.rstd.data(), p.x.data(), p.x.stride(), nullptr, rows, cols,
                          1e-2f);
        Guarded d_x(rows, cols, 1), expected(rows, cols, 1), d_gamma(cols), expected_gamma(cols);
        d_gamma.randomize(4);
        expected_gamma.copy_from(d_gamma);
        const auto run = [&](const KernelTable& t, Guarded& out, const Guarded& d_y, Guarded* sum) {
          t.rms_norm_grad(out.data(), out.stride(), sum ? sum->data() : nullptr, d_y.data(), d_y.stride(), p.x.data(),
                          p.x.stride(), p.rstd.data(), affine ? p.gamma.data() : nullptr, rows, cols);
        };
        run(table(), d_x, p.d_y, &d_gamma);
        run(oracle(), expected, p.d_y, &expected_gamma);
        expect_near(d_x, expected, [&](int64_t i, int64_t) { return d_x_tolerance(p, i); });
        expect_near(d_gamma, expected_gamma, [&](int64_t, int64_t) { return rounding_tolerance(rows + 4, 100.0); });
        Guarded in_place(rows, cols, 3);
        in_place.copy_from(p.d_y);
        run(table(), in_place, in_place, nullptr);
        expect_near(in_place, d_x, [](int64_t, int64_t) { return 0.0; });
      }
}

TEST_P(NormGradTest, L2NormGradMatchesOracle) {
  for (int64_t cols : kCols) {
    SCOPED_TRACE(cols);
    const int64_t rows = 5;
    Guarded x(rows, cols, 2), d_y(rows, cols, 3), d_x(rows, cols, 1), expected(rows, cols, 1);
    x.randomize(1);
    d_y.randomize(2);
    std::fill_n(x.row(3), cols, 0.0f);  // divided by eps
    x.at(2, 0) += 2.0f;                 // no row is so short that its gradient explodes
    const auto run = [&](const KernelTable& t, Guarded& out, const Guarded& d) {
      t.l2_norm_grad(out.data(), out.stride(), d.data(), d.stride(), x.data(), x.stride(), rows, cols, 1e-3f);
    };
    run(table(), d_x, d_y);
    run(oracle(), expected, d_y);
    expect_near(d_x, expected, [&](int64_t i, int64_t) {
      const double length = std::max(norm(x.row(i), cols), 1e-3);
      return rounding_tolerance(cols, 8.0) * norm(d_y.row(i), cols) / length;
    });
    run(table(), d_y, d_y);
    expect_near(d_y, d_x, [](int64_t, int64_t) { return 0.0; });
  }
}

TEST_P(NormGradTest, SoftmaxGradMatchesOracle) {
  for (int64_t cols : kCols)
    for (float scale : {1.0f, -0.7f}) {
      SCOPED_TRACE(cols);
      const int64_t rows = 5;
      Guarded x(rows, cols), y(rows, cols, 2), d_y(rows, cols, 3), d_x(rows, cols, 1), expected(rows, cols, 1);
      x.randomize(1, 3.0f);
      d_y.randomize(2);
      oracle().softmax(y.data(), y.stride(), x.data(), x.stride(), rows, cols, scale);
      const auto run = [&](const KernelTable& t, Guarded& out, const Guarded& d) {
        t.softmax_grad(out.data(), out.stride(), d.data(), d.stride(), y.data(), y.stride(), rows, cols, scale);
      };
      run(table(), d_x, d_y);
      run(oracle(), expected, d_y);
      expect_near(d_x, expected, [&](int64_t i, int64_t j) {
        return y.at(i, j) * (rounding_tolerance(4, 8.0) + dot_tolerance(cols, norm(d_y.row(i), cols), 1.0)) + 1e-37;
      });
      run(table(), d_y, d_y);
      expect_near(d_y, d_x, [](int64_t, int64_t) { return 0.0; });
    }
}

TEST_P(NormGradTest, ARowsGradientDoesNotDependOnItsNeighbours) {
  NormProblem p(11, 100);
  Guarded d_x(11, 100), split(11, 100);
  oracle().layer_norm(p.y.data(), p.y.stride(), p.mean.data(), p.rstd.data(), p.x.data(), p.x.stride(), nullptr,
                      nullptr, 11, 100, 1e-2f);
  const auto run = [&](Guarded& out, int64_t r0, int64_t r1) {
    table().layer_norm_grad(out.row(r0), out.stride(), nullptr, nullptr, p.d_y.row(r0), p.d_y.stride(), p.x.row(r0),
                            p.x.stride(), p.mean.data() + r0, p.rstd.data() + r0, p.gamma.data(), r1 - r0, 100);
  };
  run(d_x, 0, 11);
  run(split, 0, 1);
  run(split, 1, 7);
  run(split, 7, 11);
  expect_near(split, d_x, [](int64_t, int64_t) { return 0.0; });
}

}  // namespace
}  // namespace vit::kernels::test
