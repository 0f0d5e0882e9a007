// Draws planned scenes: background, then objects from the farthest to the nearest, then light, lens and sensor.
#pragma once

#include <cstdint>
#include <vector>

#include "datasets/scenes.h"
#include "datasets/scenes_plan.h"
#include "vit/image/image.h"

namespace datasets {

/// In owner maps: no object.
inline constexpr uint8_t kNoOwner = 255;

/// A square cluttered background of `side` pixels: a gradient, soft texture, lines and shapes that mean nothing. Its
/// ground keeps away from `avoid`, so that the main object stands out.
vit::Image paint_background(vit::Rng& rng, int64_t side, vit::Color avoid);

/// How much of an object could be seen if nothing hid it, and where it can be seen.
struct PaintedObject {
  int64_t whole_pixels = 0;    ///< in front of nothing, and beyond the picture's border
  int64_t visible_pixels = 0;  ///< counted by count_visible
  vit::PixelRect box;          ///< of the visible pixels; empty when there are none
};

/// Draws one object with shadow, relief and texture, and marks in `owners` [side, side] the pixels that it covers by
/// half or more with `number`.
PaintedObject paint_object(vit::Image& image, const PlannedObject& object, const SceneStyle& style, uint8_t number,
                           std::vector<uint8_t>& owners);

/// Fills in what is visible of each object, when all are painted. objects[n] is number n in `owners`.
void count_visible(const std::vector<uint8_t>& owners, int64_t side, std::vector<PaintedObject>& objects);

/// What is said of a painted object.
SceneObject annotation_of(const PlannedObject& object, const PaintedObject& painted, int64_t id, int64_t depth);

/// Gives the numbers in `owners` new names: number n becomes names[n].
void rename_owners(std::vector<uint8_t>& owners, const std::vector<uint8_t>& names);

/// Light falloff, vignette, colour cast, blur and noise.
void apply_camera(vit::Image& image, const SceneStyle& style, vit::Rng& noise);

}  // namespace datasets
