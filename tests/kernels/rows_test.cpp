// Row kernels (norms, softmax, mean, transpose) and element kernels against the oracle, ragged, strided and in place.
#include <limits>

#include "tests/kernels/guarded.h"

namespace vit::kernels::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const int64_t kCols[] = {1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 65, 100, 192, 771};
constexpr int64_t kRows = 5;

class RowsTest : public KernelTest {};
VITKIT_TEST_EVERY_ISA(RowsTest);

TEST_P(RowsTest, LayerNormMatchesOracle) {
  for (int64_t cols : kCols)
    for (bool affine : {false, true}) {
      SCOPED_TRACE(cols);
      Guarded x(kRows, cols, 3), gamma(cols), beta(cols), got(kRows, cols, 1), expected(kRows, cols, 1);
      Guarded mean(kRows), rstd(kRows), expected_mean(kRows), expected_rstd(kRows);
      x.randomize(1, 2.0f);
      gamma.randomize(2);
      beta.randomize(3);
      // A common offset is where one-pass variances fail.
      for (int64_t i = 0; i < kRows; ++i)
        for (int64_t j = 0; j < cols; ++j) x.at(i, j) += 50.0f;
      const auto run = [&](const KernelTable& t, Guarded& y, Guarded& m, Guarded& s) {
        t.layer_norm(y.data(), y.stride(), m.data(), s.data(), x.data(), x.stride(), affine ? gamma.data() : nullptr,
                     affine ? beta.data() : nullptr, kRows, cols, 1e-5f);
      };
      run(table(), got, mean, rstd);
      run(oracle(), expected, expected_mean, expected_rstd);
      // The mean's error, a rounding of 50, is divided by the row's deviation.
      const auto tolerance = [&](int64_t i, int64_t j) {
        const double g = affine ? std::abs(gamma.at(0, j)) : 1.0;
        return g * (rounding_tolerance(4, 60.0) * expected_rstd.at(0, i) + rounding_tolerance(cols, 4.0)) +
               rounding_tolerance(4, 4.0);
      };
      expect_near(got, expected, tolerance);
      expect_near(mean, expected_mean, [](int64_t, int64_t) { return rounding_tolerance(4, 60.0); });
      EXPECT_TRUE(rstd.untouched_outside());
      Guarded in_place(kRows, cols, 3);
      in_place.copy_from(x);
      table().layer_norm(in_place.data(), in_place.stride(), nullptr, nullptr, in_place.data(), in_place.stride(),
                         affine ? gamma.data() : nullptr, affine ? beta.data() : nullptr, kRows, cols, 1e-5f);
      expect_near(in_place, got, [](int64_t, int64_t) { return 0.0; });
    }
}

TEST_P(RowsTest, RmsNormAndL2NormMatchOracle) {
  for (int64_t cols : kCols) {
    SCOPED_TRACE(cols);
    Guarded x(kRows, cols, 2), gamma(cols), got(kRows, cols), expected(kRows, cols), rstd(kRows), expected_rstd(kRows);
    x.randomize(1);
    gamma.randomize(2);
    std::fill_n(x.row(3), cols, 0.0f);  // nothing to normalise: eps decides
    const auto tolerance = [&](int64_t, int64_t) { return rounding_tolerance(cols, 20.0); };
    table().rms_norm(got.data(), got.stride(), rstd.data(), x.data(), x.stride(), gamma.data(), kRows, cols, 1e-6f);
    oracle().rms_norm(expected.data(), expected.stride(), expected_rstd.data(), x.data(), x.stride(), gamma.data(),
                      kRows, cols, 1e-6f);
    expect_near(got, expected, tolerance);
    expect_near(rstd, expected_rstd,
                [&](int64_t, int64_t i) { return rounding_tolerance(cols, expected_rstd.at(0, i)); });
    table().l2_norm(got.data(), got.stride(), x.data(), x.stride(), kRows, cols, 1e-12f);
    oracle().l2_norm(expected.data(), expected.stride(), x.data(), x.stride(), kRows, cols, 1e-12f);
    expect_near(got, expected, [&](int64_t, int64_t) { return rounding_tolerance(cols, 1.0); });
  }
}

TEST_P(RowsTest, SoftmaxMatchesOracle) {
  for (int64_t cols : kCols)
    for (float factor : {1.0f, -0.7f}) {
      SCOPED_TRACE(cols);
      Guarded x(kRows, cols, 2), got(kRows, cols, 1), expected(kRows, cols, 1);
      x.randomize(1, 10.0f);
      std::fill_n(x.row(1), cols, factor > 0 ? -kInf : kInf);  // all masked: zeros
      x.at(2, cols / 2) = factor > 0 ? -kInf : kInf;           // one masked
      table().softmax(got.data(), got.stride(), x.data(), x.stride(), kRows, cols, factor);
      oracle().softmax(expected.data(), expected.stride(), x.data(), x.stride(), kRows, cols, factor);
      // exp carries the rounding of its argument, here up to 40.
      expect_near(got, expected, [&](int64_t i, int64_t j) {
        return expected.at(i, j) * (rounding_tolerance(2, 40.0) + rounding_tolerance(cols, 2.0)) + 1e-37;
      });
      table().softmax(x.data(), x.stride(), x.data(), x.stride(), kRows, cols, factor);
      expect_near(x, got, [](int64_t, int64_t) { return 0.0; });
    }
}

TEST_P(RowsTest, MeanAndTransposeMatchOracle) {
  for (int64_t cols : kCols)
    for (int64_t rows : {0, 1, 3, 4, 18, 33}) {
      SCOPED_TRACE(testing::Message() << rows << " x " << cols);
      Guarded x(rows, cols, 3), mean(cols), expected(cols), turned(cols, rows, 1), expected_turned(cols, rows, 1);
      x.randomize(1);
      mean.randomize(2);
      table().mean_rows(mean.data(), x.data(), x.stride(), rows, cols);
      oracle().mean_rows(expected.data(), x.data(), x.stride(), rows, cols);
      expect_near(mean, expected, [&](int64_t, int64_t) { return rounding_tolerance(rows + 1, 3.0); });
      table().transpose(turned.data(), turned.stride(), x.data(), x.stride(), rows, cols);
      oracle().transpose(expected_turned.data(), expected_turned.stride(), x.data(), x.stride(), rows, cols);
      expect_near(turned, expected_turned, [](int64_t, int64_t) { return 0.0; });
    }
}

TEST_P(RowsTest, ElementKernelsMatchOracle) {
  for (int64_t cols : kCols) {
    SCOPED_TRACE(cols);
    const int64_t count = kRows * cols;
    Guarded a(count), b(count), gamma(cols), got(count), expected(count);
    a.randomize(1);
    b.randomize(2);
    gamma.randomize(3);
    const auto exact = [](int64_t, int64_t) { return 0.0; };
    table().add(got.data(), a.data(), b.data(), count);
    oracle().add(expected.data(), a.data(), b.data(), count);
    expect_near(got, expected, exact);
    table().multiply(got.data(), a.data(), b.data(), count);
    oracle().multiply(expected.data(), a.data(), b.data(), count);
    expect_near(got, expected, exact);
    table().scale(got.data(), a.data(), 0.37f, count);
    oracle().scale(expected.data(), a.data(), 0.37f, count);
    expect_near(got, expected, exact);
    table().scale_add(got.data(), a.data(), b.data(), gamma.data(), kRows, cols);
    oracle().scale_add(expected.data(), a.data(), b.data(), gamma.data(), kRows, cols);
    expect_near(got, expected, [](int64_t, int64_t) { return rounding_tolerance(2, 10.0); });
    oracle().add(expected.data(), a.data(), b.data(), count);
    table().add(a.data(), a.data(), b.data(), count);  // in place
    expect_near(a, expected, exact);
  }
}

TEST_P(RowsTest, PixelsAreNormalisedStepByStep) {
  const float mean[] = {0.485f, 0.456f, 0.406f}, deviation[] = {0.229f, 0.224f, 0.225f};
  for (int64_t width : {1, 3, 16, 85}) {
    std::vector<uint8_t> x(static_cast<std::size_t>(3 * width));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<uint8_t>(i * 37 % 256);
    Guarded got(3, width, 9), expected(3, width, 9);
    table().normalize_u8(got.data(), got.stride(), x.data(), width, 1.0f / 255.0f, mean, deviation);
    oracle().normalize_u8(expected.data(), expected.stride(), x.data(), width, 1.0f / 255.0f, mean, deviation);
    expect_near(got, expected, [](int64_t, int64_t) { return 0.0; });
  }
}

TEST_P(RowsTest, PeakCountsItsWork) {
  int64_t flops = 0;
  const float checksum = table().fma_peak(1000, &flops);
  EXPECT_EQ(flops % (1000 * 2 * table().vector_width), 0);
  EXPECT_GT(flops, 0);
  EXPECT_TRUE(std::isfinite(checksum));
}

}  // namespace
}  // namespace vit::kernels::test
