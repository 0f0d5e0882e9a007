// Outlines of the ten kinds of objects, about one unit from the centre to the farthest point, upright, y downwards.
#pragma once

#include "datasets/scenes_vocabulary.h"
#include "vit/image/path.h"

namespace datasets {

struct SceneShape {
  vit::Rings outline;  ///< to fill; positive rings, holes negative
  vit::Rings details;  ///< inside the outline and drawn darker: a leaf's rib, a cup's opening; may be empty
};

/// Made once, at the first call. Thread-safe.
const SceneShape& scene_shape(SceneKind kind);

}  // namespace datasets
