// A value between the points of a grid.
#pragma once

#include <algorithm>
#include <cstdint>

namespace vit {

/// Bilinear between value(row, column), integers in [0, rows) and [0, columns). `row` and `column` lie within [0, rows
/// - 1] and [0, columns - 1].
template <class Value>
double bilinear(double row, double column, int64_t rows, int64_t columns, const Value& value) {
  const auto top = static_cast<int64_t>(row), left = static_cast<int64_t>(column);
  const int64_t bottom = std::min(top + 1, rows - 1), right = std::min(left + 1, columns - 1);
  const double down = row - static_cast<double>(top), across = column - static_cast<double>(left);
  return (1 - down) * ((1 - across) * value(top, left) + across * value(top, right)) +
         down * ((1 - across) * value(bottom, left) + across * value(bottom, right));
}

}  // namespace vit
