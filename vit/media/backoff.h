// How long to wait before trying again.
#pragma once

#include <cstdint>

#include "vit/core/rng.h"

namespace vit::detail {

/// Exponential back-off with jitter: before retry n (from 0) between half of and the whole of first * 2^n, at most
/// `most`. Many clients that lost one server at one moment do not come back at one moment.
class Backoff {
 public:
  Backoff(double first_s, double most_s, uint64_t seed) : first_(first_s), most_(most_s), rng_(seed) {}
  /// Seconds.
  double delay(int64_t retry);

 private:
  double first_, most_;
  Rng rng_;
};

}  // namespace vit::detail
