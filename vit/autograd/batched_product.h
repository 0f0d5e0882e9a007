// Products of many matrices, both of whose factors are data: what matmul and its gradients run on. Internal to
// vit/autograd.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/autograd/strided.h"

namespace vit {

/// One factor of each product. `offsets` says where each matrix starts; several products may share one.
struct MatrixBatch {
  const float* data = nullptr;
  bool transposed = false;  ///< rows and columns of what is stored are exchanged
  int64_t stride = 0;       ///< between the rows of what is stored
  std::vector<int64_t> offsets{};
};

/// c_i [m, n] = scale * a_i [m, k] b_i [k, n] for i = 0 ... (the offsets' size) - 1; c's matrices follow one another.
/// The bits of a product depend on m, n, k and the transpositions alone.
void batched_product(const Memory& memory, float* c, const MatrixBatch& a, const MatrixBatch& b, int64_t m, int64_t n,
                     int64_t k, float scale);

}  // namespace vit
