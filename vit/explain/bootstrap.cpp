#include "vit/explain/bootstrap.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "vit/core/check.h"
#include "vit/core/rng.h"

namespace vit {

namespace {

/// Of sorted values, between neighbours in a line.
double quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Estimate bootstrap_mean(const std::vector<double>& values, const BootstrapOptions& options) {
  check(options.confidence > 0.0 && options.confidence < 1.0, "bootstrap: the confidence is above 0 and below 1, got ",
        options.confidence);
  check(options.resamples >= 1, "bootstrap: resamples must be at least 1, got ", options.resamples);
  if (values.empty()) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    return {.mean = kNone, .low = kNone, .high = kNone};
  }
  const auto count = static_cast<double>(values.size());
  Estimate result{.mean = std::accumulate(values.begin(), values.end(), 0.0) / count,
                  .count = static_cast<int64_t>(values.size())};
  std::vector<double> means;
  Rng rng(options.seed, Rng::stream_of("bootstrap"));
  for (int64_t resample = 0; resample < options.resamples; ++resample) {
    double sum = 0.0;
    for (size_t i = 0; i < values.size(); ++i) {
      // The high 32 bits of a product: uniform without a division.
      const uint64_t drawn = (static_cast<uint64_t>(rng.next_u32()) * values.size()) >> 32U;
      sum += values[static_cast<size_t>(drawn)];
    }
    means.push_back(sum / count);
  }
  std::sort(means.begin(), means.end());
  const double tail = 0.5 * (1.0 - options.confidence);
  result.low = quantile(means, tail);
  result.high = quantile(means, 1.0 - tail);
  return result;
}

}  // namespace vit
