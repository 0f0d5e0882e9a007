// Adapts tensors for xtensor without a copy. Not a public header: only .cpp files and tests include it, because xtensor
// is slow to compile. Never keep or return an `auto` xtensor expression: it refers to its operands and dangles.
#pragma once

#include <vector>
#include <xtensor/xadapt.hpp>

#include "vit/core/tensor.h"

namespace vit {

/// View of a tensor's memory as an xtensor of the same shape. The tensor must outlive it. Errors: another dtype.
template <class T>
auto xt_view(const Tensor& tensor) {
  const std::vector<size_t> shape(tensor.shape().begin(), tensor.shape().end());
  return xt::adapt(tensor.data<T>(), static_cast<size_t>(tensor.numel()), xt::no_ownership(), shape);
}

}  // namespace vit
