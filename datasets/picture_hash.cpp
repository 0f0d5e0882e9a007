#include "datasets/picture_hash.h"

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace datasets {

namespace {

/// Pixels of cell `cell` along an extent.
struct Span {
  int64_t begin, end;
};
Span span_of(int64_t extent, int cell) {
  const int64_t begin = std::min(extent * cell / kLookSide, extent - 1);
  return {begin, std::max(begin + 1, extent * (cell + 1) / kLookSide)};
}

/// Mean of 0.299 R + 0.587 G + 0.114 B, in integers: the same everywhere.
uint8_t mean_grey(const vit::Image& image, Span rows, Span columns) {
  int64_t sum = 0;
  for (int64_t y = rows.begin; y < rows.end; ++y) {
    const uint8_t* pixel = image.row(y) + 3 * columns.begin;
    int64_t red = 0, green = 0, blue = 0;
    for (int64_t x = columns.begin; x < columns.end; ++x, pixel += 3) {
      red += pixel[0];
      green += pixel[1];
      blue += pixel[2];
    }
    sum += 299 * red + 587 * green + 114 * blue;
  }
  return static_cast<uint8_t>(sum / (1000 * (rows.end - rows.begin) * (columns.end - columns.begin)));
}

size_t cell_index(int y, int x) { return static_cast<size_t>(y) * kLookSide + static_cast<size_t>(x); }

}  // namespace

Look look_of(const vit::Image& image) {
  Look look;
  for (int y = 0; y < kLookSide; ++y)
    for (int x = 0; x < kLookSide; ++x)
      look.cells[cell_index(y, x)] = mean_grey(image, span_of(image.height(), y), span_of(image.width(), x));
  const auto cell = [&](int y, int x) { return look.cells[cell_index(y, x)]; };
  for (int y = 0; y < 8; ++y) {
    for (int x = 0; x < 8; ++x) {
      look.horizontal = look.horizontal << 1 | static_cast<uint64_t>(cell(y, x) > cell(y, x + 1));
      look.vertical = look.vertical << 1 | static_cast<uint64_t>(cell(y, x) > cell(y + 1, x));
    }
  }
  return look;
}

int distance(const Look& a, const Look& b) {
  return std::popcount(a.horizontal ^ b.horizontal) + std::popcount(a.vertical ^ b.vertical);
}

int largest_difference(const Look& a, const Look& b) {
  int largest = 0;
  for (size_t i = 0; i < a.cells.size(); ++i) largest = std::max(largest, std::abs(int{a.cells[i]} - int{b.cells[i]}));
  return largest;
}

int contrast(const Look& look) {
  const auto [darkest, brightest] = std::minmax_element(look.cells.begin(), look.cells.end());
  return *brightest - *darkest;
}

Hash128 pixel_hash(const vit::Image& image) {
  Hasher hasher;
  hasher.add_number(image.height());
  hasher.add_number(image.width());
  hasher.add(
      {reinterpret_cast<const std::byte*>(image.row(0)), static_cast<size_t>(3 * image.height() * image.width())});
  return hasher.finish();
}

}  // namespace datasets
