// An 8-bit RGB picture in memory: what decoding yields and every geometric step of pre-processing takes and gives.
#pragma once

#include <cstdint>

#include "vit/core/tensor.h"

namespace vit {

struct Image {
  Tensor pixels;  ///< u8 [height, width, 3], RGB, rows without gaps

  Image() = default;
  /// Shares the tensor's buffer. Errors: not u8 [height, width, 3].
  explicit Image(Tensor tensor);
  /// Uninitialised pixels. Errors: an extent below 1.
  Image(int64_t height, int64_t width);

  bool defined() const { return pixels.defined(); }
  int64_t height() const { return pixels.size(0); }
  int64_t width() const { return pixels.size(1); }
  uint8_t* row(int64_t y) { return pixels.data<uint8_t>() + y * width() * 3; }
  const uint8_t* row(int64_t y) const { return pixels.data<uint8_t>() + y * width() * 3; }
};

}  // namespace vit
