#include "vit/image/boxes.h"

#include <algorithm>

namespace vit {

double box_area(const Corners& box) { return std::max(0.0, box[2] - box[0]) * std::max(0.0, box[3] - box[1]); }

double intersection(const Corners& a, const Corners& b) {
  return box_area({std::max(a[0], b[0]), std::max(a[1], b[1]), std::min(a[2], b[2]), std::min(a[3], b[3])});
}

double box_iou(const Corners& a, const Corners& b) {
  const double both = intersection(a, b), either = box_area(a) + box_area(b) - both;
  return either > 0.0 ? both / either : 0.0;
}

double generalized_iou(const Corners& a, const Corners& b) {
  const double both = intersection(a, b), either = box_area(a) + box_area(b) - both;
  const double hull =
      box_area({std::min(a[0], b[0]), std::min(a[1], b[1]), std::max(a[2], b[2]), std::max(a[3], b[3])});
  if (hull <= 0.0) return 0.0;
  return (either > 0.0 ? both / either : 0.0) - (hull - either) / hull;
}

Corners clip_box(const Corners& box, double width, double height) {
  return {std::clamp(box[0], 0.0, width), std::clamp(box[1], 0.0, height), std::clamp(box[2], 0.0, width),
          std::clamp(box[3], 0.0, height)};
}

}  // namespace vit
