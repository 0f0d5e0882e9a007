#include "detection/kalman.h"

#include <gtest/gtest.h>

#include <cmath>
#include <xtensor/xbuilder.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

namespace detection {
namespace {

/// The filter as the papers write it: eight dimensions, full matrices. M: position rows [4, 8] of the identity.
class PlainFilter {
 public:
  using Matrix = xt::xtensor<double, 2>;
  PlainFilter(const std::array<double, 4>& at, const std::array<double, 8>& variances) {
    mean_ = xt::zeros<double>({8, 1});
    covariance_ = xt::zeros<double>({8, 8});
    for (size_t i = 0; i < 8; ++i) {
      if (i < 4) mean_(i, 0) = at[i];
      covariance_(i, i) = variances[i];
    }
  }
  void predict(const std::array<double, 8>& noise) {
    Matrix step = xt::eye<double>(8);
    for (size_t i = 0; i < 4; ++i) step(i, i + 4) = 1.0;
    mean_ = product(step, mean_);
    covariance_ = product(product(step, covariance_), xt::transpose(step));
    for (size_t i = 0; i < 8; ++i) covariance_(i, i) += noise[i];
  }
  /// One coordinate after the other: the same as all at once, as their noise is independent.
  void correct(const std::array<double, 4>& measured, const std::array<double, 4>& variances) {
    for (size_t i = 0; i < 4; ++i) {
      const double total = covariance_(i, i) + variances[i], error = measured[i] - mean_(i, 0);
      const Matrix column = xt::view(covariance_, xt::all(), xt::range(i, i + 1));
      mean_ += column * (error / total);
      covariance_ -= product(column, xt::transpose(column)) / total;
    }
  }
  double mean(size_t i) const { return mean_(i, 0); }

 private:
  static Matrix product(const Matrix& a, const Matrix& b) {
    Matrix result = xt::zeros<double>({a.shape(0), b.shape(1)});
    for (size_t i = 0; i < a.shape(0); ++i)
      for (size_t j = 0; j < b.shape(1); ++j)
        for (size_t k = 0; k < a.shape(1); ++k) result(i, j) += a(i, k) * b(k, j);
    return result;
  }
  Matrix mean_, covariance_;
};

TEST(Kalman, FallsIntoFiltersOfTwoDimensionsExactly) {
  std::array<MovingCoordinate, 4> coordinates;
  const std::array<double, 4> start = {50, 60, 0.5, 80};
  const std::array<double, 8> variances = {64, 64, 1e-4, 64, 25, 25, 1e-10, 25};
  for (size_t i = 0; i < 4; ++i)
    coordinates[i] = {.position = start[i], .var_position = variances[i], .var_velocity = variances[i + 4]};
  PlainFilter plain(start, variances);
  for (int step = 1; step < 30; ++step) {
    const double h = coordinates[3].position;
    const std::array<double, 8> noise = {h / 20, h / 20, 1e-2, h / 20, h / 160, h / 160, 1e-5, h / 160};
    plain.predict(noise);
    for (size_t i = 0; i < 4; ++i) coordinates[i].predict(noise[i], noise[i + 4]);
    if (step % 5 == 0) continue;  // out of sight
    const std::array<double, 4> seen = {50.0 + 3 * step, 60.0 - step, 0.5 + 0.01 * (step % 3), 80.0 + std::sin(step)};
    plain.correct(seen, {h / 20, h / 20, 1e-1, h / 20});
    for (size_t i = 0; i < 4; ++i) coordinates[i].correct(seen[i], i == 2 ? 1e-1 : h / 20);
    for (size_t i = 0; i < 4; ++i) {
      ASSERT_NEAR(coordinates[i].position, plain.mean(i), 1e-9 * (1.0 + std::abs(plain.mean(i)))) << step << " " << i;
      ASSERT_NEAR(coordinates[i].velocity, plain.mean(i + 4), 1e-9) << step << " " << i;
    }
  }
}

template <class Filter>
class BoxFilterTest : public ::testing::Test {};
using Filters = ::testing::Types<AspectHeightFilter, AreaAspectFilter>;
TYPED_TEST_SUITE(BoxFilterTest, Filters);

vit::Corners moved(double step) { return {10 + 4 * step, 20 + 2 * step, 50 + 4 * step, 100 + 2 * step}; }

TYPED_TEST(BoxFilterTest, StartsWhereTheBoxIs) {
  const TypeParam filter(moved(0));
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(filter.box()[i], moved(0)[i], 1e-9);
}

TYPED_TEST(BoxFilterTest, LearnsAVelocityAndKeepsItOutOfSight) {
  TypeParam filter(moved(0));
  for (int step = 1; step <= 20; ++step) {
    filter.predict();
    filter.correct(moved(step));
  }
  for (int step = 21; step <= 25; ++step) filter.predict();
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(filter.box()[i], moved(25)[i], 1.5) << i;
}

TYPED_TEST(BoxFilterTest, StaysFiniteWhateverHappens) {
  TypeParam filter({0, 0, 400, 400});
  for (int step = 0; step < 8; ++step) {  // shrinks to a dot
    filter.predict();
    const double side = 400.0 / (1 << step);
    filter.correct({0, 0, side, side});
  }
  for (int step = 0; step < 500; ++step) filter.predict();
  for (const double edge : filter.box()) EXPECT_TRUE(std::isfinite(edge));
}

TEST(Kalman, OutOfSightTheHeightMayBeHeld) {
  AspectHeightFilter filter({0, 0, 10, 20});
  for (int step = 1; step <= 10; ++step) {
    filter.predict();
    filter.correct({0, 0, 10.0 + step, 20.0 + 2 * step});
  }
  const double height = filter.box()[3] - filter.box()[1];
  filter.stop_growth();
  for (int step = 0; step < 5; ++step) filter.predict();
  EXPECT_NEAR(filter.box()[3] - filter.box()[1], height, 1e-9);
}

}  // namespace
}  // namespace detection
