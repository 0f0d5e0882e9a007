// Boxes: corners, centres, overlap. Plain arithmetic on four numbers, in double: pixels or shares alike.
#pragma once

#include <array>

namespace vit {

/// x0, y0, x1, y1: edges, not centres of pixels; x1 - x0 is the width.
using Corners = std::array<double, 4>;
/// Centre x, centre y, width, height.
using CenterBox = std::array<double, 4>;

inline Corners to_corners(const CenterBox& box) {
  return {box[0] - 0.5 * box[2], box[1] - 0.5 * box[3], box[0] + 0.5 * box[2], box[1] + 0.5 * box[3]};
}
inline CenterBox to_center(const Corners& box) {
  return {0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3]), box[2] - box[0], box[3] - box[1]};
}

/// Width times height; zero where one of them is not above zero.
double box_area(const Corners& box);
/// Area that both cover.
double intersection(const Corners& a, const Corners& b);
/// Intersection over union, 0 to 1; zero for boxes without area.
double box_iou(const Corners& a, const Corners& b);
/// Generalised intersection over union, -1 to 1 (Rezatofighi et al. 2019, algorithm 1).
double generalized_iou(const Corners& a, const Corners& b);
/// The part of the box that lies within [0, width] x [0, height].
Corners clip_box(const Corners& box, double width, double height);

}  // namespace vit
