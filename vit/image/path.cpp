#include "vit/image/path.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "vit/core/check.h"

namespace vit {

namespace {

constexpr float kPi = std::numbers::pi_v<float>;
/// Cosine of the angle up to which a line counts as straight: 14 degrees.
constexpr float kStraight = 0.97f;

/// Points that keep a circle's chords within a twentieth of a pixel.
int points_for(float radius) { return std::clamp(static_cast<int>(10.0f * std::sqrt(std::max(radius, 0.2f))), 8, 180); }

/// Whether a gap would show at a point of a line without a round join: at ends and sharp turns of lines that are not
/// thin. Elsewhere a join would only thicken the line, where its smooth edge adds to that of the line.
bool needs_join(const Path& line, size_t i, float width, bool closed) {
  if (width <= 1.5f) return false;
  const bool end = i == 0 || i + 1 == line.size();
  if (end && !closed) return true;
  const Point before = line[(i + line.size() - 1) % line.size()], at = line[i], after = line[(i + 1) % line.size()];
  const float ax = at.x - before.x, ay = at.y - before.y, bx = after.x - at.x, by = after.y - at.y;
  return ax * bx + ay * by < kStraight * std::hypot(ax, ay) * std::hypot(bx, by);
}

}  // namespace

Affine Affine::inverse() const {
  const float determinant = a * d - b * c;
  check(std::isfinite(determinant) && determinant != 0.0f, "affine: a map that cannot be inverted, determinant ",
        determinant);
  Affine result{d / determinant, -b / determinant, -c / determinant, a / determinant, 0.0f, 0.0f};
  const Point origin = result({tx, ty});
  result.tx = -origin.x;
  result.ty = -origin.y;
  return result;
}

Affine placed(Point centre, float angle, float scale_x, float scale_y) {
  const float cosine = std::cos(angle), sine = std::sin(angle);
  return {cosine * scale_x, -sine * scale_y, sine * scale_x, cosine * scale_y, centre.x, centre.y};
}

Path transformed(const Path& path, const Affine& affine) {
  Path result(path.size());
  std::transform(path.begin(), path.end(), result.begin(), affine);
  return result;
}

Rings transformed(const Rings& rings, const Affine& affine) {
  Rings result;
  result.reserve(rings.size());
  for (const Path& ring : rings) result.push_back(transformed(ring, affine));
  return result;
}

Path reversed(Path path) {
  std::reverse(path.begin(), path.end());
  return path;
}

Path ellipse_path(Point centre, float radius_x, float radius_y, float angle, int points) {
  check(radius_x > 0.0f && radius_y > 0.0f, "ellipse: expected positive radii, got ", radius_x, " and ", radius_y);
  const int count = points > 0 ? points : points_for(std::max(radius_x, radius_y));
  const Affine affine = placed(centre, angle, radius_x, radius_y);
  Path path(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    const float turn = 2.0f * kPi * static_cast<float>(i) / static_cast<float>(count);
    path[static_cast<size_t>(i)] = affine({std::cos(turn), std::sin(turn)});
  }
  return path;
}

Path arc_path(Point centre, float radius, float from, float to, int points) {
  check(radius > 0.0f && points >= 2, "arc: expected a positive radius and two points, got ", radius, " and ", points);
  Path path(static_cast<size_t>(points));
  for (int i = 0; i < points; ++i) {
    const float turn = from + (to - from) * static_cast<float>(i) / static_cast<float>(points - 1);
    path[static_cast<size_t>(i)] = {centre.x + radius * std::cos(turn), centre.y + radius * std::sin(turn)};
  }
  return path;
}

Path rectangle_path(float x0, float y0, float x1, float y1) {
  const float left = std::min(x0, x1), right = std::max(x0, x1);
  const float top = std::min(y0, y1), bottom = std::max(y0, y1);
  return {{left, top}, {right, top}, {right, bottom}, {left, bottom}};
}

Rings stroke_rings(const Path& line, float width, bool closed) {
  check(!line.empty(), "stroke: a line without points");
  check(width > 0.0f, "stroke: expected a positive width, got ", width);
  const float half = 0.5f * width;
  Rings rings;
  const size_t segments = closed ? line.size() : line.size() - 1;
  for (size_t i = 0; i < segments; ++i) {
    const Point from = line[i], to = line[(i + 1) % line.size()];
    const float dx = to.x - from.x, dy = to.y - from.y, length = std::hypot(dx, dy);
    if (length == 0.0f) continue;
    const float nx = -dy / length * half, ny = dx / length * half;
    rings.push_back(
        {{from.x - nx, from.y - ny}, {to.x - nx, to.y - ny}, {to.x + nx, to.y + ny}, {from.x + nx, from.y + ny}});
  }
  for (size_t i = 0; i < line.size(); ++i)
    if (rings.empty() || needs_join(line, i, width, closed)) rings.push_back(ellipse_path(line[i], half, half));
  return rings;
}

}  // namespace vit
