// Smooth random fields over the picture ("value noise"): a lattice of random values, mixed in between.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/core/rng.h"

namespace datasets {

class SmoothNoise {
 public:
  /// `cells` lattice cells along the picture's side; values in [-1, 1].
  SmoothNoise(vit::Rng& rng, int64_t cells);

  /// Adds weight * noise to a row of `side` samples of a picture of `side` rows.
  void add_row(int64_t y, int64_t side, float weight, float* row);

 private:
  size_t points_;              // along one side
  std::vector<float> values_;  // [points, points]
  std::vector<float> mixed_;   // [points], the lattice at the present row
};

}  // namespace datasets
