// What generated scenes are made of, and what it is called.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "vit/image/canvas.h"

namespace datasets {

enum class SceneKind { star, ring, cross, leaf, key, cup, heart, arrow, moon, bolt };
enum class SceneColor { red, orange, yellow, green, cyan, blue, purple, white };
enum class SceneSize { small, medium, large };

inline constexpr int64_t kSceneKinds = 10;
inline constexpr int64_t kSceneColors = 8;
inline constexpr int64_t kSceneSizes = 3;

const char* name_of(SceneKind kind);
const char* name_of(SceneColor color);
const char* name_of(SceneSize size);
/// "leaves", "crosses", ...
const char* plural_of(SceneKind kind);

/// Names of the ten kinds, in the order of the class numbers.
const std::vector<std::string>& scene_class_names();

/// The colour before light, texture and noise.
vit::Color rgb_of(SceneColor color);

/// From the smallest to the largest radius of a size, as a share of the picture's side. Sizes do not touch: a medium
/// object is at most three quarters as large as the smallest large one.
struct RadiusRange {
  float min, max;
};
RadiusRange radius_range(SceneSize size);

}  // namespace datasets
