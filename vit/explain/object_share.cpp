#include "vit/explain/object_share.h"

#include <algorithm>

#include "vit/explain/variants.h"

namespace vit {

ObjectShare object_share(const Tensor& map, bool is_signed, const Corners& box, int64_t height, int64_t width) {
  const Tensor values = map_on_pixels(map, height, width);
  const float* begin = values.f32();
  const float smallest = *std::min_element(begin, begin + values.numel());
  const float largest = *std::max_element(begin, begin + values.numel());
  const double floor = is_signed ? 0.0 : static_cast<double>(smallest);
  double mass = 0.0, mass_inside = 0.0, maxima = 0.0, maxima_inside = 0.0, area = 0.0;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const auto left = static_cast<double>(x), top = static_cast<double>(y);
      const double covered = intersection(box, {left, top, left + 1.0, top + 1.0});
      const float value = begin[y * width + x];
      const double above = std::max(0.0, static_cast<double>(value) - floor);
      area += covered;
      mass += above;
      mass_inside += covered * above;
      if (value < largest) continue;
      maxima += 1.0;
      maxima_inside += covered;
    }
  ObjectShare result{.pointing = maxima_inside / maxima, .area = area / static_cast<double>(height * width)};
  result.mass = mass > 0.0 ? mass_inside / mass : result.area;
  return result;
}

}  // namespace vit
