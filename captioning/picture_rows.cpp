#include "captioning/picture_rows.h"

#include <cstring>
#include <utility>

#include "vit/core/check.h"

namespace captioning {

using vit::Tensor;

namespace {

/// The length of runs of equal numbers, where all runs are equally long; else 1.
int64_t common_run(const std::vector<int64_t>& numbers) {
  size_t length = 0;
  for (size_t begin = 0; begin < numbers.size();) {
    size_t end = begin;
    while (end < numbers.size() && numbers[end] == numbers[begin]) ++end;
    if (length != 0 && end - begin != length) return 1;
    length = end - begin;
    begin = end;
  }
  return static_cast<int64_t>(length);
}

bool counts_up(const std::vector<int64_t>& numbers, int64_t count) {
  if (static_cast<int64_t>(numbers.size()) != count) return false;
  for (size_t i = 0; i < numbers.size(); ++i)
    if (numbers[i] != static_cast<int64_t>(i)) return false;
  return true;
}

}  // namespace

Tensor selected_rows(const Tensor& x, const std::vector<int64_t>& parents) {
  vit::check(!parents.empty(), "select: no rows");
  std::vector<int64_t> extents(x.shape().begin(), x.shape().end());
  extents[0] = static_cast<int64_t>(parents.size());
  Tensor rows = Tensor::empty(vit::Shape(extents), x.dtype());
  const auto bytes = static_cast<size_t>(x.nbytes() / x.size(0));
  for (size_t i = 0; i < parents.size(); ++i) {
    vit::check(0 <= parents[i] && parents[i] < x.size(0), "select: there is no row ", parents[i], " among ", x.size(0));
    std::memcpy(static_cast<std::byte*>(rows.raw()) + i * bytes,
                static_cast<const std::byte*>(x.raw()) + static_cast<size_t>(parents[i]) * bytes, bytes);
  }
  return rows;
}

PictureRows::PictureRows(Tensor regions, int64_t rows_per_picture) : regions_(std::move(regions)) {
  vit::check(regions_.rank() == 3 && regions_.size(0) > 0 && rows_per_picture > 0,
             "captions: expected regions [P, M, C] "
             "and at least one row per picture, got ",
             regions_.shape(), " and ", rows_per_picture);
  for (int64_t row = 0; row < regions_.size(0) * rows_per_picture; ++row) picture_.push_back(row / rows_per_picture);
  arrange();
}

void PictureRows::select(const std::vector<int64_t>& parents) {
  std::vector<int64_t> selected;
  for (const int64_t parent : parents) {
    vit::check(0 <= parent && parent < rows(), "select: there is no row ", parent, " among ", rows());
    selected.push_back(picture_[static_cast<size_t>(parent)]);
  }
  vit::check(!selected.empty(), "select: no rows");
  if (selected == picture_) return;
  picture_ = std::move(selected);
  arrange();
}

void PictureRows::arrange() {
  const auto run = static_cast<size_t>(common_run(picture_));
  std::vector<int64_t> firsts;
  for (size_t row = 0; row < picture_.size(); row += run) firsts.push_back(picture_[row]);
  memory_ = counts_up(firsts, regions_.size(0)) ? regions_ : selected_rows(regions_, firsts);
}

}  // namespace captioning
