// What a picture looks like in a few bytes: equal pixels have equal hashes, similar pictures near ones.
#pragma once

#include <array>
#include <cstdint>

#include "datasets/hash.h"
#include "vit/image/image.h"

namespace datasets {

constexpr int kLookSide = 9;

/// A picture averaged to 9 x 9 grey cells, and the signs of the differences between neighbouring cells (dHash; N.
/// Krawetz, "Kind of like that", 2013), horizontally and vertically: 2 x 64 bits.
struct Look {
  std::array<uint8_t, kLookSide * kLookSide> cells{};
  uint64_t horizontal = 0, vertical = 0;
};

/// image [height, width, 3]. Averages over equal parts of the picture, of 1 pixel at least.
Look look_of(const vit::Image& image);

/// Bits in which two pictures' differences have other signs, 0 to 128.
int distance(const Look& a, const Look& b);

/// Largest difference between cells of two pictures, 0 to 255.
int largest_difference(const Look& a, const Look& b);

/// Darkest to brightest cell, 0 to 255: of a picture with little of it nothing can be told from its look.
int contrast(const Look& look);

/// Hash of extents and pixels.
Hash128 pixel_hash(const vit::Image& image);

}  // namespace datasets
