// Backbone: an image model that also gives the feature maps of its stages, for detectors and captioners.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "vit/models/model.h"

namespace vit {

/// A map that a backbone offers.
struct FeatureInfo {
  std::string name;       ///< where it comes from, as observers see it: "layers.2", "stages.1"
  int64_t channels = 0;   ///< C
  int64_t reduction = 1;  ///< pixels of the image per cell, along each axis
};

class Backbone : public ImageModel {
 public:
  /// The maps, finest first.
  virtual std::vector<FeatureInfo> features() const = 0;

  /// images [B, channels, height, width] -> one map [B, height / reduction, width / reduction, C] (rounded as the
  /// family does) for each wanted entry of features(), in that order; stages after the last wanted one are not run.
  /// Errors: an index outside features().
  std::vector<Var> forward_maps(Context& ctx, const Var& images, const std::vector<size_t>& wanted) const;

 protected:
  using KeepMap = std::function<void(size_t index, const Var& map)>;
  /// Runs as far as the first `count` (1 to features().size()) maps need it, and hands each over, in order.
  virtual void run_maps(Context& ctx, const Var& images, size_t count, const KeepMap& keep) const = 0;
};

}  // namespace vit
