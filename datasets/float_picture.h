// Pictures of floating-point samples, and the filters that corruptions (corruption.h) are made of.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/core/rng.h"
#include "vit/image/image.h"

namespace datasets {

/// [height, width, channels], rows without gaps; 0 is black, 1 white.
struct FloatPicture {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<float> values{};

  FloatPicture(int64_t rows, int64_t columns, int64_t samples, float value = 0.0f)
      : height(rows), width(columns), channels(samples), values(static_cast<size_t>(rows * columns * samples), value) {}

  int64_t row_size() const { return width * channels; }
  float* row(int64_t y) { return values.data() + y * row_size(); }
  const float* row(int64_t y) const { return values.data() + y * row_size(); }
};

/// Three channels, bytes / 255.
FloatPicture floats_of(const vit::Image& image);
/// Three channels: cut off at 0 and 1, times 255, rounded.
vit::Image image_of(const FloatPicture& picture);

/// What lies outside of a picture.
enum class Edge {
  nearest,      ///< aaa|abcd|ddd
  reflect,      ///< cba|abcd|dcb
  reflect_101,  ///< dcb|abcd|cba
};
/// The sample inside that stands for `index`. extent is at least 1.
int64_t index_inside(int64_t index, int64_t extent, Edge edge);
/// The picture with `margin` samples around it.
FloatPicture padded(const FloatPicture& picture, int64_t margin, Edge edge);

/// In place, with a Gaussian of `sigma` pixels that is cut off at round(truncate * sigma) pixels: scipy's
/// gaussian_filter, which scikit-image uses with truncate 4 and Edge::nearest. Sigma 0 changes nothing.
void gaussian_blur(FloatPicture& picture, double sigma, double truncate = 4.0, Edge edge = Edge::nearest);

/// Half a Gaussian along a line, as ImageMagick's MotionBlurImage: 2 * ceil(radius) + 1 whole pixels in the direction
/// of `degrees` (clockwise from the right), weighted by exp(-i^2 / (2 sigma^2)); Edge::nearest.
FloatPicture motion_blurred(const FloatPicture& picture, double radius, double sigma, double degrees);

/// The middle 1 / factor of the picture, magnified bilinearly to the picture's extents (scipy's zoom of order 1, whose
/// outermost samples lie on each other). factor is at least 1.
FloatPicture zoomed(const FloatPicture& picture, double factor);

/// Clouds, [height, width, 1] in 0 to 1: the upper left part of a diamond-square fractal on a torus whose side is a
/// power of two. Each halving of the step divides the amplitude by decay^2.
FloatPicture plasma(int64_t height, int64_t width, double decay, vit::Rng& rng);

}  // namespace datasets
