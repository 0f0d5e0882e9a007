#include "vit/image/mask.h"

#include <algorithm>
#include <cmath>

#include "vit/core/check.h"

namespace vit {

namespace {

/// Coordinates beyond this are mistakes; keeps conversions to integers defined.
constexpr float kFar = 1e6f;

/// Signed areas, summed up from left to right by finish(): an edge adds to a pixel the change of coverage that it makes
/// there.
class Accumulator {
 public:
  explicit Accumulator(const PixelRect& rect)
      : rect_(rect),
        stride_(static_cast<size_t>(rect.width()) + 2),
        sums_(stride_ * static_cast<size_t>(rect.height())) {}

  /// An edge in the picture's coordinates.
  void add(Point from, Point to) {
    from = {from.x - static_cast<float>(rect_.x0), from.y - static_cast<float>(rect_.y0)};
    to = {to.x - static_cast<float>(rect_.x0), to.y - static_cast<float>(rect_.y0)};
    if (from.y == to.y) return;
    const float sign = from.y < to.y ? -1.0f : 1.0f;
    if (from.y > to.y) std::swap(from, to);
    if (from.y >= static_cast<float>(rect_.height())) return;
    const float slope = (to.x - from.x) / (to.y - from.y);
    const float bottom = std::min(to.y, static_cast<float>(rect_.height()));
    for (auto y = static_cast<int64_t>(std::max(from.y, 0.0f)); static_cast<float>(y) < bottom; ++y) {
      const float y0 = std::max(from.y, static_cast<float>(y)), y1 = std::min(bottom, static_cast<float>(y + 1));
      if (y1 <= y0) continue;
      add_to_row(static_cast<size_t>(y), from.x + slope * (y0 - from.y), from.x + slope * (y1 - from.y),
                 sign * (y1 - y0));
    }
  }

  Mask finish() const {
    Mask mask{rect_, std::vector<uint8_t>(static_cast<size_t>(rect_.width() * rect_.height()))};
    for (int64_t y = rect_.y0; y < rect_.y1; ++y) {
      const float* sums = sums_.data() + static_cast<size_t>(y - rect_.y0) * stride_;
      uint8_t* values = mask.row(y);
      float covered = 0.0f;
      for (int64_t x = 0; x < rect_.width(); ++x) {
        covered += sums[x];
        values[x] = static_cast<uint8_t>(std::min(std::abs(covered), 1.0f) * 255.0f + 0.5f);
      }
    }
    return mask;
  }

 private:
  /// An edge inside one row, from x0 to x1, that is `height` (signed) high there.
  void add_to_row(size_t y, float x0, float x1, float height) {
    if (x0 > x1) std::swap(x0, x1);
    const auto right_end = static_cast<float>(rect_.width());
    if (x0 >= right_end) return;  // nothing lies right of it
    float* sums = sums_.data() + y * stride_;
    if (x1 <= 0.0f) return add_to_pixel(sums, 0.0f, height);
    const auto first = static_cast<size_t>(std::max(x0, 0.0f)), last = static_cast<size_t>(x1);
    if (x0 >= 0.0f && first == last)
      return add_to_pixel(sums + first, 0.5f * (x0 + x1) - static_cast<float>(first), height);
    const float per_column = height / (x1 - x0);
    if (x0 < 0.0f) add_to_pixel(sums, 0.0f, -x0 * per_column);
    float left = std::max(x0, 0.0f);
    const float end = std::min(x1, right_end);
    for (size_t x = first; left < end; ++x) {
      const float right = std::min(static_cast<float>(x + 1), end);
      add_to_pixel(sums + x, 0.5f * (left + right) - static_cast<float>(x), per_column * (right - left));
      left = right;
    }
  }

  /// An edge of `height` at the mean distance `x` from the pixel's left side: all right of it is covered.
  static void add_to_pixel(float* sum, float x, float height) {
    sum[0] += height * (1.0f - x);
    sum[1] += height * x;
  }

  PixelRect rect_;
  size_t stride_;
  std::vector<float> sums_;  // [height, width + 2]
};

}  // namespace

PixelRect intersection(const PixelRect& a, const PixelRect& b) {
  return {std::max(a.x0, b.x0), std::max(a.y0, b.y0), std::min(a.x1, b.x1), std::min(a.y1, b.y1)};
}

uint8_t Mask::at(int64_t x, int64_t y) const {
  if (x < rect.x0 || x >= rect.x1 || y < rect.y0 || y >= rect.y1) return 0;
  return row(y)[x - rect.x0];
}

PixelRect pixel_bounds(const Rings& rings) {
  float x0 = kFar, y0 = kFar, x1 = -kFar, y1 = -kFar;
  for (const Path& ring : rings)
    for (const Point& point : ring) {
      check(std::abs(point.x) <= kFar && std::abs(point.y) <= kFar, "draw: a point (", point.x, ", ", point.y,
            "), expected coordinates within +-", kFar);
      x0 = std::min(x0, point.x);
      y0 = std::min(y0, point.y);
      x1 = std::max(x1, point.x);
      y1 = std::max(y1, point.y);
    }
  if (x0 > x1) return {};
  const auto whole = [](float value) { return static_cast<int64_t>(value); };
  return {whole(std::floor(x0)), whole(std::floor(y0)), whole(std::ceil(x1)), whole(std::ceil(y1))};
}

Mask rasterize(const Rings& rings, const PixelRect& clip) {
  const PixelRect rect = intersection(pixel_bounds(rings), clip);
  if (rect.empty()) return {};
  Accumulator accumulator(rect);
  for (const Path& ring : rings)
    for (size_t i = 0; i < ring.size(); ++i) accumulator.add(ring[i], ring[(i + 1) % ring.size()]);
  return accumulator.finish();
}

}  // namespace vit
