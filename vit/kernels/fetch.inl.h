// Rows of memory fetched ahead of their use, a few at a time between tiles of a product: what a head of attention reads
// is scattered over rows of a packed matrix, which the hardware's prefetchers do not follow.
#pragma once

#include "vit/kernels/gemm.inl.h"
#include "vit/kernels/kernels.h"
#include "vit/kernels/simd.h"

namespace vit::kernels {
namespace {

class RowFetcher {
 public:
  void add(const float* p, int64_t stride, int64_t rows, int64_t cols) {
    list_[count_++] = {p, stride, rows, cols};
    total_ += rows;
    lines_ += rows * ceil_div(cols, kLine);
  }
  /// Spreads the rows over the first `turns` calls of turn(). More than L2 would hold beside the work itself is left
  /// alone.
  void start(int64_t turns) {
    turns_ = max_of(turns, 1);
    if (lines_ > kMostLines) total_ = 0;
  }
  VITKIT_INLINE void turn() {
    if (turn_ == turns_) return;
    ++turn_;
    for (const int64_t due = total_ * turn_ / turns_; done_ < due; ++done_) {
      while (row_ == list_[at_].rows) ++at_, row_ = 0;
      const Rows& rows = list_[at_];
      for (int64_t j = 0; j < rows.cols; j += kLine) prefetch_l2(rows.p + row_ * rows.stride + j);
      ++row_;
    }
  }

 private:
  static constexpr int64_t kMostLines = 8192;  ///< 512 KB
  struct Rows {
    const float* p;
    int64_t stride, rows, cols;
  };
  Rows list_[8];
  int64_t count_ = 0, at_ = 0, row_ = 0;
  int64_t total_ = 0, lines_ = 0, done_ = 0, turns_ = 1, turn_ = 0;
};

}  // namespace
}  // namespace vit::kernels
