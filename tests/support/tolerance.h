// Tolerances of the tests, derived from the arithmetic and not from what a run happened to give. f32 rounds each
// operation to eps = 2^-24 relative; the errors of a sum of K terms add like a random walk, sqrt(K), scaled by the
// norms of what is summed. A test that needs more writes down why beside the call.
#pragma once

#include <cmath>
#include <cstdint>

namespace vit::test {

/// Half a unit in the last place of 1.0f: the relative error of one rounded operation.
inline constexpr double kEps = 5.9604644775390625e-8;

/// Largest expected error of a dot product of k terms of f32 vectors with these Euclidean norms. The 4 covers the few
/// operations before and after the sum, and the tail of the walk.
inline double dot_tolerance(int64_t k, double norm_a, double norm_b) {
  return kEps * (2.0 * std::sqrt(static_cast<double>(k)) + 4.0) * norm_a * norm_b;
}

/// Largest expected error of `operations` chained roundings at values around `magnitude`.
inline double rounding_tolerance(int64_t operations, double magnitude) {
  return kEps * (2.0 * std::sqrt(static_cast<double>(operations)) + 2.0) * magnitude;
}

/// |x - y|_2 / |y|_2 over two spans; 0 for two equal zeros.
template <class T, class U>
double relative_l2(const T* x, const U* y, int64_t count) {
  double difference = 0.0, norm = 0.0;
  for (int64_t i = 0; i < count; ++i) {
    const double d = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    difference += d * d;
    norm += static_cast<double>(y[i]) * static_cast<double>(y[i]);
  }
  return difference == 0.0 ? 0.0 : std::sqrt(difference / norm);
}

}  // namespace vit::test
