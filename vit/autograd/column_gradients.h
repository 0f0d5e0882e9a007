// Gradient tensors of queries, keys and values that are columns of token tensors. Internal to vit/autograd.
#pragma once

#include <array>
#include <vector>

#include "vit/autograd/ops.h"
#include "vit/autograd/tape.h"

namespace vit {

/// Gradient tensors of the token tensors that the columns of q, k and v lie in; queries, keys and values of one packed
/// projection share theirs, unless they read the same columns.
class ColumnGradients {
 public:
  /// `width` columns of each. `written`: the op writes all rows of all these columns; else the tensors begin as zeros.
  ColumnGradients(Tape& tape, const std::array<const HeadColumns*, 3>& all, int64_t width, bool written = true);

  /// Where the first row of the columns' gradient begins: 0 the queries', 1 the keys', 2 the values'.
  float* of(size_t columns) const { return entries_[entry_of_[columns]].gradient.f32() + firsts_[columns]; }
  void accumulate(Tape& tape) const;

 private:
  struct Entry {
    Var tokens;
    std::vector<int64_t> firsts;
    Tensor gradient;
  };
  static bool has_room(const Entry& entry, const HeadColumns& columns, int64_t width);

  std::vector<Entry> entries_;
  std::array<size_t, 3> entry_of_{};
  std::array<int64_t, 3> firsts_{};
};

}  // namespace vit
