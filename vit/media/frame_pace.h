// Which frames of a video are given: every so many, and at most one for every so many seconds.
#pragma once

#include <cmath>
#include <cstdint>

namespace vit {

class FramePace {
 public:
  /// As VideoOptions has them.
  FramePace(int64_t stride, double every) : stride_(stride), every_(every) {}

  /// Whether the next frame, at `time_s`, is given. With `every` that is the first frame of each interval from 0 on.
  bool wants(double time_s) {
    if (count_++ % stride_ != 0) return false;
    if (every_ <= 0.0) return true;
    if (time_s < next_) return false;
    next_ = (std::floor(time_s / every_) + 1.0) * every_;
    return true;
  }

 private:
  int64_t stride_, count_ = 0;
  double every_, next_ = 0.0;
};

}  // namespace vit
