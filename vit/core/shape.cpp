#include "vit/core/shape.h"

#include <algorithm>

#include "vit/core/check.h"

namespace vit {

namespace {
// Bytes of the widest type, with room for rounding up, still fit 63 bits.
constexpr int64_t kMostElements = int64_t{1} << 58;
}  // namespace

Shape::Shape(const int64_t* begin, const int64_t* end) : rank_(static_cast<int>(end - begin)) {
  check(end - begin <= kMaxRank, "shape: at most ", kMaxRank, " dimensions are supported, got ", end - begin);
  int64_t product = 1;
  for (int i = 0; i < rank_; ++i) {
    const int64_t extent = begin[i];
    check(extent >= 0, "shape: extents must not be negative, got ", extent, " on axis ", i);
    check(extent == 0 || product <= kMostElements / extent, "shape: the number of elements overflows");
    product *= std::max<int64_t>(extent, 1);
    extents_[i] = extent;
  }
}

int64_t Shape::operator[](int axis) const {
  const int index = axis < 0 ? axis + rank_ : axis;
  check(index >= 0 && index < rank_, "shape: axis ", axis, " is out of range for ", *this);
  return extents_[index];
}

int64_t Shape::numel() const {
  int64_t product = 1;
  for (int64_t extent : *this) product *= extent;
  return product;
}

int64_t Shape::rows() const {
  int64_t product = 1;
  for (int i = 0; i + 1 < rank_; ++i) product *= extents_[i];
  return product;
}

bool Shape::operator==(const Shape& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

std::string Shape::to_string() const {
  std::string text = "[";
  for (int i = 0; i < rank_; ++i) text += (i ? ", " : "") + std::to_string(extents_[i]);
  return text + "]";
}

}  // namespace vit
