#include "vit/heads/classification_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "vit/core/check.h"

namespace vit {

void ClassificationMetrics::add(const float* logits, int64_t classes, int64_t target) {
  check(target >= 0 && target < classes, "metrics: class ", target, " of ", classes);
  const float own = logits[target];
  const double largest = *std::max_element(logits, logits + classes);
  int64_t better = 0;
  double sum = 0.0;
  for (int64_t i = 0; i < classes; ++i) {
    // Written so that a NaN, ours or another's, is never a hit.
    const bool behind = i == target || logits[i] < own || (logits[i] == own && i > target);
    better += behind ? 0 : 1;
    sum += std::exp(static_cast<double>(logits[i]) - largest);
  }
  ++count_;
  top1_ += better < 1 && !std::isnan(own) ? 1.0 : 0.0;
  top5_ += better < 5 && !std::isnan(own) ? 1.0 : 0.0;
  loss_ += std::log(sum) + largest - static_cast<double>(own);
}

double ClassificationMetrics::share(double sum) const {
  return count_ > 0 ? sum / static_cast<double>(count_) : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace vit
