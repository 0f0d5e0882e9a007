// What a scene shows, decided before anything is drawn and free of the picture's size: lengths are shares of the
// picture's side, so that the same (seed, index) is the same scene at 64 and at 256 pixels.
#pragma once

#include <cstdint>
#include <vector>

#include "datasets/scenes_vocabulary.h"
#include "vit/core/rng.h"
#include "vit/image/mask.h"
#include "vit/image/path.h"

namespace datasets {

/// Independent uses of one (seed, index): at most eight.
enum class SceneStream : uint64_t { plan, background, noise, captions, clip, clip_noise };

/// Random numbers of one use. `index` below 2^60.
vit::Rng scene_rng(uint64_t seed, uint64_t index, SceneStream stream);
/// Uniform in [low, high).
float between(vit::Rng& rng, float low, float high);
/// Uniform in 0..count-1.
int64_t pick(vit::Rng& rng, int64_t count);

enum class SceneTexture { plain, stripes, dots, checks, grain };

struct PlannedObject {
  SceneKind kind{};
  SceneColor color{};
  SceneSize size{};
  vit::Point center;  ///< (0, 0) upper left, (1, 1) lower right corner of the picture
  float radius = 0.0f;
  float angle = 0.0f;    ///< radians, clockwise
  float stretch = 1.0f;  ///< width is radius * stretch, height radius / stretch
  SceneTexture texture{};
  float texture_scale = 0.2f;  ///< length of one stripe, dot, ..., as a share of the radius
  float texture_angle = 0.0f;
  float texture_strength = 0.0f;  ///< how much darker the dark parts are
  float brightness = 1.0f;

  /// From the shape's units to a picture of `side` pixels.
  vit::Affine placement(float side) const;
};

/// Light and camera.
struct SceneStyle {
  float light_angle = 0.0f;    ///< where the light comes from
  float light_falloff = 0.0f;  ///< how much darker the far side is
  float vignette = 0.0f;       ///< how much darker the corners are
  float cast[3] = {1, 1, 1};   ///< colour of the light
  float blur = 0.0f;           ///< sigma, as a share of the side
  float noise = 0.0f;          ///< standard deviation of the sensor's noise, in steps of 1/255
};

struct ScenePlan {
  /// The main object first; the others as they were placed.
  std::vector<PlannedObject> objects;
  /// Indices into `objects`, from the farthest to the nearest.
  std::vector<size_t> order;
  SceneStyle style;
};

/// Of the main object this much is visible at least, of the others this much (seen on a coarse grid).
inline constexpr float kMinMainVisibility = 0.87f;
inline constexpr float kMinVisibility = 0.5f;
inline constexpr int64_t kMaxSceneObjects = 6;

ScenePlan plan_scene(uint64_t seed, uint64_t index);
/// The class of the main object of that plan, without planning.
SceneKind main_kind(uint64_t seed, uint64_t index);

/// An object of a kind and size that is not placed yet.
PlannedObject plan_object(vit::Rng& rng, SceneKind kind, SceneSize size);
SceneStyle plan_style(vit::Rng& rng);

/// The object's outline as coverage in a picture of `side` pixels, with what lies outside the picture.
vit::Mask object_mask(const PlannedObject& object, int64_t side);

}  // namespace datasets
