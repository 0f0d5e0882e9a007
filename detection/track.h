// Tracking by detection: which object of this frame is which of the last.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "detection/postprocess.h"

namespace detection {

/// An object that is followed.
struct TrackedDetection {
  Detection detection;
  int64_t track = -1;  ///< from 1, in the order in which tracks began; -1: not (yet) followed
};

/// One per stream; frames come in order. Deterministic. Implementations register by the name that YAML's `tracker` has.
class Tracker {
 public:
  virtual ~Tracker() = default;
  /// All detections of a frame (low scores included: ByteTrack uses them), at `time_s` -> those that are reported, with
  /// their tracks, best score first.
  virtual std::vector<TrackedDetection> update(const std::vector<Detection>& detections, double time_s) = 0;
};

}  // namespace detection
