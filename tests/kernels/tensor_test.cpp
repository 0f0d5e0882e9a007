// The kernels of the ops on tensors of any rank against the oracle: ragged, broadcast, in place, over all magnitudes.
#include <cfloat>
#include <limits>

#include "tests/kernels/guarded.h"
#include "vit/kernels/tensor_kernels.h"

namespace vit::kernels::test {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const int64_t kCols[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 64, 65, 100, 771};
constexpr int64_t kRows = 5;
const Binary kBinaries[] = {Binary::add, Binary::subtract, Binary::multiply, Binary::divide, Binary::equal};
const Unary kUnaries[] = {Unary::exp, Unary::log, Unary::square, Unary::sqrt, Unary::reciprocal, Unary::elu_plus_one};

class TensorTest : public KernelTest {
 protected:
  const TensorKernels& tensors() const { return *table().tensors; }
};
VITKIT_TEST_EVERY_ISA(TensorTest);

const auto kExact = [](int64_t, int64_t) { return 0.0; };

/// All magnitudes of f32 and both signs, limits, infinities; f's argument where f has one there.
std::vector<float> arguments_of(Unary f) {
  std::vector<float> x = {0.0f, FLT_MIN, FLT_MAX, kInf, 1.0f, 0.5f, 88.5f, 88.72f, 88.73f, 104.0f};
  for (int i = 1; i <= 60000; ++i) x.push_back(static_cast<float>(i) * 2e-3f);
  for (float magnitude = 1e-37f; magnitude < 1e37f; magnitude *= 1.01f) x.push_back(magnitude);
  if (f == Unary::log || f == Unary::sqrt) return x;
  for (size_t i = x.size(); i-- > 0;) x.push_back(-x[i]);
  return x;
}

TEST_P(TensorTest, FunctionsOfTwoTensorsMatchTheOracleHoweverTheyAreRepeated) {
  for (const int64_t cols : kCols)
    for (const Binary f : kBinaries)
      for (const int64_t form_a : {0, 1, 2, 3})
        for (const int64_t form_b : {0, 1, 2, 3}) {
          Guarded a(kRows, cols + 1, 2), b(kRows, cols + 1), got(kRows, cols, 1), expected(kRows, cols, 1);
          a.randomize(1);
          b.randomize(2);
          if (cols > 2) b.at(0, 2) = a.at(0, 2);
          const auto operand = [](const Guarded& x, int64_t form) {
            return BroadcastOperand{x.data(), form & 1 ? 0 : x.stride(), form & 2 ? 0 : 1};
          };
          const BroadcastOperand left = operand(a, form_a), right = operand(b, form_b);
          tensors().binary(f, got.data(), got.stride(), left, right, kRows, cols);
          oracle().tensors->binary(f, expected.data(), expected.stride(), left, right, kRows, cols);
          expect_near(got, expected, kExact);
        }
}

TEST_P(TensorTest, FunctionsOfTwoTensorsInPlace) {
  for (const Binary f : kBinaries) {
    Guarded a(kRows, 37, 3), b(kRows, 37), y(kRows, 37);
    a.randomize(1);
    b.randomize(2);
    const BroadcastOperand left{a.data(), a.stride(), 1}, right{b.data(), b.stride(), 1};
    tensors().binary(f, y.data(), y.stride(), left, right, kRows, 37);
    tensors().binary(f, a.data(), a.stride(), left, right, kRows, 37);
    expect_near(a, y, kExact);
  }
}

TEST_P(TensorTest, FunctionsOfOneTensorOverAllMagnitudes) {
  for (const Unary f : kUnaries) {
    SCOPED_TRACE(static_cast<int>(f));
    const std::vector<float> x = arguments_of(f);
    const auto count = static_cast<int64_t>(x.size());
    Guarded got(count), expected(count);
    tensors().unary(f, got.data(), x.data(), count);
    oracle().tensors->unary(f, expected.data(), x.data(), count);
    EXPECT_TRUE(got.untouched_outside());
    for (int64_t i = 0; i < count; ++i) {
      const float want = expected.at(0, i);
      // Two units in the last place: the approximations' 1.6e-7 and their last rounding. Denormal results may be zero.
      if (std::isinf(want))
        ASSERT_EQ(got.at(0, i), want) << x[static_cast<size_t>(i)];
      else
        ASSERT_NEAR(got.at(0, i), want, 4 * vit::test::kEps * std::abs(want) + FLT_MIN) << x[static_cast<size_t>(i)];
    }
  }
}

TEST_P(TensorTest, SpecialArguments) {
  for (const Unary f : kUnaries) {
    const float nan = NAN;
    float y = 0.0f;
    tensors().unary(f, &y, &nan, 1);
    EXPECT_TRUE(std::isnan(y)) << static_cast<int>(f);
  }
  for (const Unary f : {Unary::log, Unary::sqrt}) {
    const float negative = -1.0f;
    float y = 0.0f;
    tensors().unary(f, &y, &negative, 1);
    EXPECT_TRUE(std::isnan(y)) << static_cast<int>(f);
  }
  const float a[] = {NAN, 1.0f, kInf}, b[] = {NAN, 1.0f, 1.0f};
  float y[3];
  tensors().binary(Binary::equal, y, 3, {a, 3, 1}, {b, 3, 1}, 1, 3);
  EXPECT_EQ(y[0], 0.0f);
  EXPECT_EQ(y[1], 1.0f);
  EXPECT_EQ(y[2], 0.0f);
}

TEST_P(TensorTest, DerivativesMatchTheOracle) {
  for (const Unary f : kUnaries)
    for (const int64_t cols : kCols) {
      SCOPED_TRACE(static_cast<int>(f));
      Guarded x(cols), y(cols), d_y(cols), got(cols), expected(cols);
      x.randomize(1, 2.0f);
      d_y.randomize(2);
      const bool positive = f == Unary::log || f == Unary::sqrt;
      for (int64_t i = 0; i < cols && positive; ++i) x.at(0, i) = std::abs(x.at(0, i)) + 0.01f;
      oracle().tensors->unary(f, y.data(), x.data(), cols);
      tensors().unary_grad(f, got.data(), d_y.data(), x.data(), y.data(), cols);
      oracle().tensors->unary_grad(f, expected.data(), d_y.data(), x.data(), y.data(), cols);
      expect_near(got, expected,
                  [&](int64_t, int64_t i) { return rounding_tolerance(3, std::abs(expected.at(0, i))); });
      tensors().unary_grad(f, d_y.data(), d_y.data(), x.data(), y.data(), cols);
      expect_near(d_y, got, kExact);
    }
}

TEST_P(TensorTest, ShiftsAndFunctionsInPlace) {
  for (const int64_t cols : kCols) {
    Guarded x(cols), got(cols), expected(cols);
    x.randomize(1);
    tensors().shift(got.data(), x.data(), 0.3f, cols);
    oracle().tensors->shift(expected.data(), x.data(), 0.3f, cols);
    expect_near(got, expected, kExact);
    tensors().unary(Unary::exp, expected.data(), got.data(), cols);
    tensors().shift(x.data(), x.data(), 0.3f, cols);
    tensors().unary(Unary::exp, x.data(), x.data(), cols);
    expect_near(x, expected, kExact);
  }
}

TEST_P(TensorTest, CopiesRows) {
  for (const int64_t cols : kCols) {
    Guarded x(kRows, cols, 3), got(kRows, cols, 1), expected(kRows, cols, 1);
    x.randomize(1);
    tensors().copy(got.data(), got.stride(), x.data(), x.stride(), kRows, cols);
    oracle().tensors->copy(expected.data(), expected.stride(), x.data(), x.stride(), kRows, cols);
    expect_near(got, expected, kExact);
  }
}

TEST_P(TensorTest, ProductsOfRowsMatchTheOracle) {
  for (const int64_t cols : kCols)
    for (const int64_t rows : {0, 1, 3, 4, 5, 9}) {
      Guarded x(rows, cols, 3), b(cols), got(rows), expected(rows);
      x.randomize(1);
      b.randomize(2);
      tensors().row_dots(got.data(), x.data(), x.stride(), b.data(), rows, cols, 0.7f);
      oracle().tensors->row_dots(expected.data(), x.data(), x.stride(), b.data(), rows, cols, 0.7f);
      expect_near(got, expected,
                  [&](int64_t, int64_t i) { return dot_tolerance(cols, norm(x.row(i), cols), norm(b.data(), cols)); });
      for (int64_t i = 0; i < rows; ++i) {  // the same bits in any part
        float alone = 0.0f;
        tensors().row_dots(&alone, x.row(i), x.stride(), b.data(), 1, cols, 0.7f);
        EXPECT_EQ(alone, got.at(0, i));
      }
    }
}

TEST_P(TensorTest, SumsAndMaximaMatchTheOracle) {
  for (const int64_t cols : kCols) {
    Guarded x(kRows, cols, 3), got(kRows), expected(kRows), got_cols(cols), expected_cols(cols);
    x.randomize(1);
    tensors().row_sums(got.data(), x.data(), x.stride(), kRows, cols);
    oracle().tensors->row_sums(expected.data(), x.data(), x.stride(), kRows, cols);
    expect_near(got, expected, [&](int64_t, int64_t i) {
      return dot_tolerance(cols, norm(x.row(i), cols), std::sqrt(static_cast<double>(cols)));
    });
    tensors().column_maxima(got_cols.data(), x.data(), x.stride(), kRows, cols);
    oracle().tensors->column_maxima(expected_cols.data(), x.data(), x.stride(), kRows, cols);
    expect_near(got_cols, expected_cols, kExact);
    if (cols == 0) continue;
    tensors().row_maxima(got.data(), x.data(), x.stride(), kRows, cols);
    oracle().tensors->row_maxima(expected.data(), x.data(), x.stride(), kRows, cols);
    expect_near(got, expected, kExact);
  }
}

TEST_P(TensorTest, ANanIsTheMaximumWhereverItStands) {
  for (const int64_t count : {1, 5, 16, 40, 130})
    for (int64_t place = 0; place < count; ++place) {
      Guarded x(count);
      x.randomize(1);
      x.at(0, place) = NAN;
      float largest = 0.0f;
      tensors().row_maxima(&largest, x.data(), count, 1, count);
      EXPECT_TRUE(std::isnan(largest)) << place << " of " << count;
      tensors().column_maxima(&largest, x.data(), 1, count, 1);
      EXPECT_TRUE(std::isnan(largest)) << place << " of " << count;
    }
}

TEST_P(TensorTest, RowsThatLieAnywhereMatchTheOracle) {
  for (const int64_t cols : kCols) {
    SCOPED_TRACE(cols);
    Guarded maps(kRows, cols, 3), sums(kRows, cols, 3), expected_sums(kRows, cols, 3), weights(7), x(cols);
    maps.randomize(1);
    sums.randomize(2);
    expected_sums.copy_from(sums);
    weights.randomize(3);
    x.randomize(4);
    // Rows in any order, some of them twice.
    const int64_t order[] = {3, 0, 4, 0, 1, 1, 2};
    for (const int64_t count : {0, 1, 4, 7}) {
      std::vector<const float*> rows;
      std::vector<float*> targets, expected_targets;
      for (int64_t i = 0; i < count; ++i) {
        rows.push_back(maps.row(order[i]));
        targets.push_back(sums.row(order[i]));
        expected_targets.push_back(expected_sums.row(order[i]));
      }
      Guarded sum(cols), expected_sum(cols), dots(count), expected_dots(count);
      sum.randomize(5);
      tensors().gathered_sum(sum.data(), rows.data(), weights.data(), count, cols);
      oracle().tensors->gathered_sum(expected_sum.data(), rows.data(), weights.data(), count, cols);
      expect_near(sum, expected_sum, [&](int64_t, int64_t) { return rounding_tolerance(count, 10.0); });
      tensors().gathered_dots(dots.data(), rows.data(), x.data(), count, cols);
      oracle().tensors->gathered_dots(expected_dots.data(), rows.data(), x.data(), count, cols);
      expect_near(dots, expected_dots, [&](int64_t i, int64_t j) {
        return dot_tolerance(cols, norm(maps.row(order[j + i]), cols), norm(x.data(), cols));
      });
      tensors().scattered_add(targets.data(), weights.data(), x.data(), count, cols);
      oracle().tensors->scattered_add(expected_targets.data(), weights.data(), x.data(), count, cols);
      expect_near(sums, expected_sums, [](int64_t, int64_t) { return rounding_tolerance(4, 10.0); });
    }
  }
}

}  // namespace
}  // namespace vit::kernels::test
