// The set that an attack may choose from: pictures within `eps` of the original, in the pixels' own units (0 to 1,
// before any normalisation), and the steps that stay inside it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "vit/core/tensor.h"

namespace vit {

enum class Norm {
  linf,  ///< the largest change of any value
  l2,    ///< the Euclidean length of all changes of a picture together
};
const std::vector<std::pair<Norm, std::string>>& enum_names(Norm);

/// All functions work on pictures [B, ...] one by one and give the same bits for any batch size and number of threads.
/// A value of the original outside [0, 1] (random erasing puts some there) may stay where it is, never go further out.
struct NormBall {
  Norm norm = Norm::linf;
  float eps = 0.0f;

  /// Errors (usage): eps is not above 0; beyond 1 (linf), or beyond the distance from black to white of pictures with
  /// `values` values (l2).
  void validate(int64_t values) const;

  /// Moves every picture of `x` by `alpha` along its gradient, then back into the ball around `center`: along the
  /// gradient's signs (linf; Madry et al. 2018, eq. 3) or its direction (l2; a gradient of zero moves nothing).
  void ascend(Tensor& x, const Tensor& center, const Tensor& gradient, float alpha) const;
  /// The same with a step of its own for every picture.
  void ascend(Tensor& x, const Tensor& center, const Tensor& gradient, const std::vector<float>& alpha) const;

  /// The nearest point of the ball, then of [0, 1].
  void project(Tensor& x, const Tensor& center) const;

  /// Uniformly drawn points of the ball around `center`, cut to [0, 1]. Picture b's depend on the seed, numbers[b] and
  /// `draw` alone.
  Tensor random_point(const Tensor& center, uint64_t seed, const std::vector<int64_t>& numbers, int64_t draw) const;
};

/// The distance of every picture from its original, [B].
std::vector<double> distances(Norm norm, const Tensor& x, const Tensor& center);

}  // namespace vit
