// Adapts tensors for xtensor without a copy. Not a public header: only .cpp files and tests include it, because xtensor
// is slow to compile. Never keep or return an `auto` xtensor expression: it refers to its operands and dangles.
#pragma once

#include <array>
#include <xtensor/xadapt.hpp>
#include <xtensor/xbuilder.hpp>
#include <xtensor/xmath.hpp>
#include <xtensor/xtensor.hpp>
#include <xtensor/xview.hpp>

#include "vit/core/tensor.h"

namespace vit {

/// View of a tensor's memory as an xtensor of static rank. Errors: dtype or rank differ.
template <class T, size_t Rank>
auto xt_view(const Tensor& tensor) {
  check(tensor.rank() == static_cast<int>(Rank), "xt_view: expected rank ", Rank, ", got ", tensor.shape());
  std::array<size_t, Rank> extents{};
  for (size_t i = 0; i < Rank; ++i) extents[i] = static_cast<size_t>(tensor.size(static_cast<int>(i)));
  return xt::adapt(tensor.data<T>(), static_cast<size_t>(tensor.numel()), xt::no_ownership(), extents);
}

}  // namespace vit
