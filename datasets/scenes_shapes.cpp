#include "datasets/scenes_shapes.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace datasets {

namespace {

using vit::Path;
using vit::Point;
using vit::Rings;

constexpr float kPi = std::numbers::pi_v<float>;

/// Turned round if needed, so that rings which overlap join.
Path positive(Path path) {
  float doubled_area = 0.0f;
  for (size_t i = 0; i < path.size(); ++i) {
    const Point a = path[i], b = path[(i + 1) % path.size()];
    doubled_area += a.x * b.y - b.x * a.y;
  }
  return doubled_area < 0.0f ? vit::reversed(std::move(path)) : path;
}

/// A part of a ring between two angles.
Path band(Point center, float inner, float outer, float from, float to) {
  Path path = vit::arc_path(center, outer, from, to, 20);
  const Path back = vit::arc_path(center, inner, to, from, 20);
  path.insert(path.end(), back.begin(), back.end());
  return positive(path);
}

SceneShape star() {
  Path path;
  for (int i = 0; i < 10; ++i) {
    const float radius = i % 2 == 0 ? 1.0f : 0.42f, angle = kPi * (static_cast<float>(i) / 5.0f - 0.5f);
    path.push_back({radius * std::cos(angle), radius * std::sin(angle)});
  }
  return {{path}, {}};
}

SceneShape ring() {
  return {{vit::ellipse_path({}, 0.95f, 0.95f, 0, 48), vit::reversed(vit::ellipse_path({}, 0.56f, 0.56f, 0, 40))}, {}};
}

SceneShape cross() {
  constexpr float kArm = 0.95f, kHalf = 0.3f;
  return {{positive({{-kHalf, -kArm},
                     {kHalf, -kArm},
                     {kHalf, -kHalf},
                     {kArm, -kHalf},
                     {kArm, kHalf},
                     {kHalf, kHalf},
                     {kHalf, kArm},
                     {-kHalf, kArm},
                     {-kHalf, kHalf},
                     {-kArm, kHalf},
                     {-kArm, -kHalf},
                     {-kHalf, -kHalf}})},
          {}};
}

SceneShape leaf() {
  Path right, left;
  constexpr int kSteps = 18;
  for (int i = 0; i <= kSteps; ++i) {
    const float along = static_cast<float>(i) / kSteps;
    const float half_width = 0.55f * std::pow(std::max(std::sin(kPi * std::pow(along, 0.8f)), 0.0f), 0.9f);
    right.push_back({half_width, -1.0f + 1.65f * along});
    left.push_back({-half_width, -1.0f + 1.65f * along});
  }
  right.insert(right.end(), left.rbegin(), left.rend());
  Rings ribs{vit::rectangle_path(-0.035f, -0.8f, 0.035f, 0.62f)};
  for (const float y : {-0.3f, 0.0f, 0.3f})
    for (const float side : {-1.0f, 1.0f})
      ribs.push_back(positive({{0, y + 0.04f}, {0, y - 0.04f}, {side * 0.34f, y - 0.26f}, {side * 0.34f, y - 0.21f}}));
  return {{positive(right), vit::rectangle_path(-0.06f, 0.55f, 0.06f, 1.0f)}, ribs};
}

SceneShape key() {
  return {{vit::ellipse_path({0, -0.54f}, 0.46f, 0.46f, 0, 32),
           vit::reversed(vit::ellipse_path({0, -0.54f}, 0.22f, 0.22f, 0, 24)),
           vit::rectangle_path(-0.11f, -0.12f, 0.11f, 1.0f), vit::rectangle_path(0.11f, 0.42f, 0.46f, 0.6f),
           vit::rectangle_path(0.11f, 0.8f, 0.4f, 1.0f)},
          {}};
}

SceneShape cup() {
  const Path body = positive({{-0.8f, -0.62f}, {0.4f, -0.62f}, {0.22f, 0.78f}, {-0.62f, 0.78f}});
  return {{body, vit::ellipse_path({-0.2f, -0.62f}, 0.6f, 0.17f, 0, 32),
           vit::ellipse_path({-0.2f, 0.78f}, 0.42f, 0.1f, 0, 24),
           band({0.36f, -0.02f}, 0.28f, 0.5f, -0.47f * kPi, 0.5f * kPi)},
          {vit::ellipse_path({-0.2f, -0.62f}, 0.5f, 0.11f, 0, 32)}};
}

SceneShape heart() {
  Path path;
  constexpr int kPoints = 48;
  for (int i = 0; i < kPoints; ++i) {
    const float t = 2.0f * kPi * static_cast<float>(i) / kPoints, sine = std::sin(t);
    const float y = 13 * std::cos(t) - 5 * std::cos(2 * t) - 2 * std::cos(3 * t) - std::cos(4 * t);
    path.push_back({16 * sine * sine * sine / 17.0f, -(y + 2.0f) / 17.0f});
  }
  return {{positive(path)}, {}};
}

SceneShape arrow() {
  return {{positive({{0, -1},
                     {0.68f, -0.22f},
                     {0.24f, -0.22f},
                     {0.24f, 0.95f},
                     {-0.24f, 0.95f},
                     {-0.24f, -0.22f},
                     {-0.68f, -0.22f}})},
          {}};
}

/// A disc less another that is moved to the right; the two circles meet at (kMeetX, +-meet_y).
SceneShape moon() {
  constexpr float kOuter = 0.98f, kInner = 0.8f, kMoved = 0.42f;
  constexpr float kMeetX = (kMoved * kMoved + kOuter * kOuter - kInner * kInner) / (2 * kMoved);
  const float meet_y = std::sqrt(kOuter * kOuter - kMeetX * kMeetX);
  const float outer_angle = std::atan2(meet_y, kMeetX), inner_angle = std::atan2(meet_y, kMeetX - kMoved);
  Path path = vit::arc_path({}, kOuter, outer_angle, 2 * kPi - outer_angle, 40);
  const Path back = vit::arc_path({kMoved, 0}, kInner, 2 * kPi - inner_angle, inner_angle, 32);
  path.insert(path.end(), back.begin(), back.end());
  return {{positive(vit::transformed(path, {1, 0, 0, 1, 0.22f, 0}))}, {}};
}

SceneShape bolt() {
  return {
      {positive({{-0.1f, -1}, {0.5f, -1}, {0.16f, -0.3f}, {0.6f, -0.3f}, {-0.32f, 1}, {-0.06f, 0.1f}, {-0.52f, 0.1f}})},
      {}};
}

}  // namespace

const SceneShape& scene_shape(SceneKind kind) {
  static const std::array<SceneShape, kSceneKinds> shapes = {star(), ring(),  cross(), leaf(), key(),
                                                             cup(),  heart(), arrow(), moon(), bolt()};
  return shapes[static_cast<size_t>(kind)];
}

}  // namespace datasets
