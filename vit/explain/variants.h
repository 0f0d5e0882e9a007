// Many altered copies of one picture, scored in batches: what RISE, occlusion, deletion, insertion and ROAD have in
// common. And what they alter it by: a map on the picture's pixels, and a blurred picture.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "vit/core/tensor.h"
#include "vit/explain/subject.h"

namespace vit {

/// Writes copy `index` of a picture into [channels, height, width]. Called on any thread, each index once.
using FillVariant = std::function<void(int64_t index, float* pixels)>;

/// The subject's score of `count` copies of a picture of this shape, [1, channels, height, width], `batch_size` at a
/// time, in order. Memory: one batch of pixels. Errors: not that shape; batch_size below 1; what the subject throws.
std::vector<double> score_variants(const Subject& subject, const Shape& picture, int64_t count, int64_t batch_size,
                                   const FillVariant& fill);

/// map f32 [rows, columns] over all of the picture -> f32 [height, width]: bilinear between the cells' centres, beyond
/// the outer ones as they are. Errors: another shape; a value that is not finite.
Tensor map_on_pixels(const Tensor& map, int64_t height, int64_t width);

/// pixels f32 [1, channels, height, width] -> the same, blurred by a Gaussian of `sigma` pixels (cut at three sigma);
/// the border's pixels are repeated outwards. Errors: sigma not above 0.
Tensor blurred_pixels(const Tensor& pixels, double sigma);

}  // namespace vit
