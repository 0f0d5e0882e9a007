// How sure a mean is: confidence intervals by the bootstrap (Efron 1979), the percentile method.
#pragma once

#include <cstdint>
#include <vector>

namespace vit {

/// A mean, and the interval that holds the true one with a stated confidence. NaN of no values.
struct Estimate {
  double mean = 0.0, low = 0.0, high = 0.0;
  int64_t count = 0;  ///< values
};

struct BootstrapOptions {
  double confidence = 0.95;
  int64_t resamples = 2000;
  uint64_t seed = 0;
};

/// The mean of values that were drawn independently. The interval is of the means of resamples of the same number of
/// values, drawn with replacement; of few values (below some 20) it is a little too narrow. Deterministic. Errors:
/// confidence not between 0 and 1, resamples below 1.
Estimate bootstrap_mean(const std::vector<double>& values, const BootstrapOptions& options = {});

}  // namespace vit
