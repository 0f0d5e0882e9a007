// Shapes to draw: rings of points in pixels, (0, 0) at the upper left corner of the upper left pixel, so that the
// centre of that pixel is (0.5, 0.5).
#pragma once

#include <vector>

namespace vit {

struct Point {
  float x = 0.0f, y = 0.0f;
};

/// A ring when filled (the last point joins the first), a line when stroked.
using Path = std::vector<Point>;
/// Several rings that are filled together. What is inside follows from the direction (non-zero winding): rings of one
/// direction add up, a ring of the other direction cuts a hole. Drawn with y downwards, "positive" is clockwise.
using Rings = std::vector<Path>;

/// p -> (a x + b y + tx, c x + d y + ty)
struct Affine {
  float a = 1.0f, b = 0.0f, c = 0.0f, d = 1.0f, tx = 0.0f, ty = 0.0f;

  Point operator()(Point p) const { return {a * p.x + b * p.y + tx, c * p.x + d * p.y + ty}; }
  /// Errors: not invertible.
  Affine inverse() const;
};

/// Turns by `angle` (radians, clockwise on the screen), scales, then moves the origin to `centre`.
Affine placed(Point centre, float angle, float scale_x, float scale_y);

Path transformed(const Path& path, const Affine& affine);
Rings transformed(const Rings& rings, const Affine& affine);
/// The same ring in the other direction: as a hole.
Path reversed(Path path);

/// Positive. `points` 0 chooses by the size. Errors: a radius that is not positive.
Path ellipse_path(Point centre, float radius_x, float radius_y, float angle = 0.0f, int points = 0);
/// Points on a circle's arc from one angle to another (radians, 0 to the right, growing clockwise), both included.
Path arc_path(Point centre, float radius, float from, float to, int points);
/// Positive.
Path rectangle_path(float x0, float y0, float x1, float y1);

/// The area that a pen of `width` covers along a line, with round joins and ends; all rings are positive.
/// Errors: no points, a width that is not positive.
Rings stroke_rings(const Path& line, float width, bool closed = false);

}  // namespace vit
