// Mixup (Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2017) and CutMix (Yun et al., "CutMix", 2019) of a
// batch with itself in reverse order, and soft targets, as timm's Mixup defines them.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "datasets/augment_config.h"
#include "vit/core/rng.h"
#include "vit/core/tensor.h"
#include "vit/image/resize.h"

namespace datasets {

/// What one draw does to a picture: `share` of it stays, the rest is its partner's; by blending, or by a box.
struct MixDraw {
  float share = 1.0f;
  std::optional<vit::Window> box;
};

/// Immutable: any number of threads may use one.
class Mixer {
 public:
  /// Errors (usage): fewer than 1 class, what config.validate() refuses.
  Mixer(const AugmentConfig& config, int64_t num_classes);

  /// Whether targets are distributions: f32 [B, K], in every epoch of a run that mixes or smooths; else i64 [B].
  bool soft_targets() const { return config_.mixes() || config_.smoothing > 0; }
  /// Whether the epoch's batches are mixed.
  bool mixes(int64_t epoch) const;

  /// Mixes images f32 [B, C, height, width] in place and returns the targets. The same rng state, the same result. The
  /// middle picture of an odd batch is its own partner. Errors: a label out of range, images of another shape.
  vit::Tensor apply(vit::Tensor& images, const std::vector<int64_t>& labels, int64_t epoch, vit::Rng& rng) const;

 private:
  MixDraw draw(int64_t height, int64_t width, vit::Rng& rng) const;

  AugmentConfig config_;
  int64_t num_classes_;
};

/// Beta(a, b) by two gamma variables (Marsaglia, Tsang, "A simple method for generating gamma variables", 2000) whose
/// logarithms are compared, so that tiny a and b do not underflow. a, b > 0.
double random_beta(vit::Rng& rng, double a, double b);

}  // namespace datasets
