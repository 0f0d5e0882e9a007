// ROAD, "remove and debias" (Rong et al. 2022, "A consistent and efficient evaluation strategy for attribution
// methods", arXiv 2202.00449): pixels are removed so that the shape of what was removed tells the model as little as
// possible: each becomes a weighted mean of its eight neighbours (section 5.2), plus a little noise.
#pragma once

#include <cstdint>
#include <vector>

#include "vit/core/tensor.h"
#include "vit/explain/removal.h"
#include "vit/explain/subject.h"

namespace vit {

/// pixels f32 [1, channels, height, width], removed [height * width], not 0 where a pixel is removed -> the same
/// picture, in which each removed pixel is the mean of its neighbours: those beside it weigh 1/6, those across a corner
/// 1/12; at the border, of those that there are. All removed pixels together are one sparse system of linear equations,
/// solved by conjugate gradients from coarse to fine until the residual's root mean square is `tolerance` of the known
/// pixels': by default a hundredth of ROAD's noise. Errors: no pixel is left.
Tensor imputed_pixels(const Tensor& pixels, const std::vector<uint8_t>& removed, double tolerance = 1e-4);

struct RoadOptions {
  std::vector<double> shares{0.2, 0.4, 0.6, 0.8};  ///< of the pixels that are removed; each above 0 and below 1
  double noise = 0.01;                             ///< standard deviation of the noise on removed pixels
  uint64_t seed = 0;                               ///< of the noise
  int64_t batch_size = 8;
};

/// Two forward passes of one picture per share.
struct Road {
  std::vector<double> shares{};
  std::vector<double> morf{};  ///< scores with the most important pixels removed first: low is good
  std::vector<double> lerf{};  ///< with the least important removed first: high is good
  double combined = 0.0;       ///< mean of (lerf - morf) / 2, -0.5 to 0.5: high is good, a random order has about 0
};

/// Errors: shares out of range, none; as score_variants.
Road measure_road(const Subject& subject, const Tensor& pixels, const RemovalOrder& order,
                  const RoadOptions& options = {});

}  // namespace vit
