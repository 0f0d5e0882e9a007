#include "vit/media/backoff.h"

#include <algorithm>
#include <cmath>

namespace vit::detail {

double Backoff::delay(int64_t retry) {
  const int doublings = static_cast<int>(std::clamp<int64_t>(retry, 0, 60));
  const double whole = std::min(std::ldexp(first_, doublings), most_);
  return whole * (0.5 + 0.5 * static_cast<double>(rng_.uniform()));
}

}  // namespace vit::detail
