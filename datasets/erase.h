// Random erasing (Zhong et al., "Random Erasing Data Augmentation", 2017) as timm does it, on normalised pixels.
#pragma once

#include <cstdint>

#include "vit/core/rng.h"
#include "vit/image/preprocess.h"

namespace datasets {

enum class EraseFill {
  kConst,  ///< 0, the mean colour
  kRand,   ///< one standard normal value per channel
  kPixel,  ///< standard normal noise
};

struct EraseOptions {
  double probability = 0.0;
  EraseFill fill = EraseFill::kPixel;
  int64_t count = 1;  ///< rectangles at most: 1 to `count`, which share the area
  double min_area = 0.02, max_area = 1.0 / 3.0;
  double min_aspect = 0.3;  ///< height / width is log-uniform from this to its inverse
};

/// pixels f32 [3, height, width], in place. Rectangles that do not fit in ten tries are left out.
void random_erase(float* pixels, const vit::Extent& extent, const EraseOptions& options, vit::Rng& rng);

}  // namespace datasets
