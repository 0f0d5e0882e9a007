// Adversarial patches: a rectangle of the picture in which anything goes, and nothing outside it changes.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "vit/robustness/attack.h"

namespace vit {

/// Pixels [top, top + height) x [left, left + width).
struct PatchPlace {
  int64_t top = 0, left = 0, height = 0, width = 0;
  bool operator==(const PatchPlace&) const = default;
};

/// The square of `share` of a picture's pixels, at least one pixel; no larger than the picture. Random positions depend
/// on the seed, the picture's number and `draw` alone.
PatchPlace patch_place(int64_t height, int64_t width, const AttackOptions& options, int64_t number, int64_t draw);

/// The direction in which pictures become worse, [B, channels, height, width], with the answer to them as they are.
using PatchGradient = std::function<TargetAnswer(const Tensor& pixels)>;

/// Signed gradient ascent inside each picture's place, from random pixels or from the picture's own, with steps that
/// shrink evenly to nothing from options.alpha (default 0.1); every point on the way is a candidate for `found` at
/// `where`. `draw` is of the random start.
void search_patches(TargetProbe& probe, const AttackBatch& batch, const std::vector<PatchPlace>& places,
                    const AttackOptions& options, int64_t draw, const PatchGradient& gradient,
                    const std::vector<int64_t>& where, WorstFound& found);

}  // namespace vit
