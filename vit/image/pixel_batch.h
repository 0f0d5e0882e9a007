// Pictures as a model takes them, and the extents of pictures.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/core/tensor.h"

namespace vit {

struct Extent {
  int64_t height = 0, width = 0;
  bool operator==(const Extent&) const = default;
};

/// A batch ready for a model.
struct PixelBatch {
  Tensor pixel_values;  ///< f32 [B, 3, height, width]
  Tensor pixel_mask;    ///< i64 [B, height, width], 1 = picture, 0 = padding; undefined when the model pads nothing
  std::vector<Extent> sizes;  ///< extents of each picture within the batch, before padding
};

}  // namespace vit
