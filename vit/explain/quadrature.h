// Nodes and weights of Gauss-Legendre quadrature.
#pragma once

#include <cstdint>
#include <vector>

namespace vit {

struct Quadrature {
  std::vector<double> nodes;    ///< in (0, 1), ascending
  std::vector<double> weights;  ///< their sum is 1
};

/// Exact for polynomials up to degree 2 n - 1 on [0, 1]. Errors: n below 1.
Quadrature gauss_legendre(int64_t n);

}  // namespace vit
