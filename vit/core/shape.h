// Extents of a tensor: up to kMaxRank non-negative 64-bit sizes, row-major, held inline (no allocation).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <string>
#include <vector>

namespace vit {

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  /// Errors: more than kMaxRank extents, a negative extent, or a product above 2^58.
  Shape(std::initializer_list<int64_t> extents) : Shape(extents.begin(), extents.end()) {}
  explicit Shape(const std::vector<int64_t>& extents) : Shape(extents.data(), extents.data() + extents.size()) {}
  Shape(const int64_t* begin, const int64_t* end);

  int rank() const { return rank_; }
  /// Extent of an axis; negative axes count from the end, as in Python. Errors: axis out of range.
  int64_t operator[](int axis) const;
  /// Product of all extents; 1 for a scalar.
  int64_t numel() const;
  /// Product of all extents but the last: how many rows a row-wise op sees.
  int64_t rows() const;

  const int64_t* begin() const { return extents_.data(); }
  const int64_t* end() const { return extents_.data() + rank_; }
  bool operator==(const Shape& other) const;

  /// "[2, 197, 768]"
  std::string to_string() const;

 private:
  std::array<int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.to_string(); }

}  // namespace vit
