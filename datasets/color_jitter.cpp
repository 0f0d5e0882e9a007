#include "datasets/color_jitter.h"

#include <algorithm>
#include <array>
#include <utility>

#include "datasets/augment_random.h"
#include "datasets/color_ops.h"

namespace datasets {

void jitter_color(vit::Image& image, double strength, double hue, vit::Rng& rng) {
  std::array<int, 4> order = {0, 1, 2, 3};
  for (size_t left = order.size(); left > 1; --left)
    std::swap(order[left - 1], order[static_cast<size_t>(random_index(rng, static_cast<int64_t>(left)))]);
  const double low = std::max(0.0, 1.0 - strength), high = 1.0 + strength;
  for (const int which : order) {
    if (which == 3) {
      if (hue > 0) adjust_hue(image, random_between(rng, -hue, hue));
      continue;
    }
    if (strength == 0.0) continue;
    const double factor = random_between(rng, low, high);
    if (which == 0) adjust_brightness(image, factor);
    if (which == 1) adjust_contrast(image, factor);
    if (which == 2) adjust_color(image, factor);
  }
}

}  // namespace datasets
