// Which detections of a picture are which objects, for COCO's figures: greedy, best detection first, at ten overlaps
// and in four ranges of area at once. For coco_eval.cpp and its tests.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "detection/coco_eval.h"

namespace detection {

/// What became of a detection. Bit t of the masks stands for CocoResult::threshold(t).
struct DetectionMatch {
  double score = 0.0;
  int64_t rank = 0;                                    ///< among those of its picture and class, from 0
  std::array<uint16_t, CocoResult::kAreas> matched{};  ///< it is an object
  std::array<uint16_t, CocoResult::kAreas> ignored{};  ///< it counts neither as right nor as wrong
};

/// Matches objects and detections of one class in one picture; appends what became of the 100 best detections, best
/// first. Returns how many objects count in each range of areas.
std::array<int64_t, CocoResult::kAreas> match_picture(const std::vector<const CocoObject*>& objects,
                                                      std::vector<const CocoDetection*> detections,
                                                      std::vector<DetectionMatch>& matches);

/// Intersection over union as pycocotools has it; with a crowd, over the detection's area.
double coco_overlap(const CocoBox& detection, const CocoBox& object, bool crowd);

}  // namespace detection
