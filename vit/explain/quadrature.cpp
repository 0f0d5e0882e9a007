#include "vit/explain/quadrature.h"

#include <cmath>
#include <numbers>

#include "vit/core/check.h"

namespace vit {

Quadrature gauss_legendre(int64_t n) {
  check(n >= 1, "quadrature: at least one node is needed, got ", n);
  Quadrature rule;
  for (int64_t i = n; i >= 1; --i) {
    // Newton's method from Tricomi's approximation of the i-th zero of P_n.
    double x = std::cos(std::numbers::pi * (static_cast<double>(i) - 0.25) / (static_cast<double>(n) + 0.5));
    double slope = 1.0;
    for (int64_t step = 0; step < 100; ++step) {
      double before = 1.0, value = x;  // P_0 and P_1
      for (int64_t k = 2; k <= n; ++k) {
        const auto order = static_cast<double>(k);
        const double next = ((2.0 * order - 1.0) * x * value - (order - 1.0) * before) / order;
        before = value;
        value = next;
      }
      slope = static_cast<double>(n) * (x * value - before) / (x * x - 1.0);
      const double change = value / slope;
      x -= change;
      if (std::abs(change) < 1e-15) break;
    }
    rule.nodes.push_back(0.5 * (1.0 + x));
    rule.weights.push_back(1.0 / ((1.0 - x * x) * slope * slope));
  }
  return rule;
}

}  // namespace vit
