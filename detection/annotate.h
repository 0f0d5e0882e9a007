// Detections drawn onto their picture: boxes, labels with scores, tracks with tails.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "detection/track.h"
#include "vit/image/image.h"
#include "vit/image/path.h"

namespace vit {
class ClassLabels;
}

namespace detection {

/// Where the tracks of one stream have been: the middles of their boxes. One thread, frames in order.
class TrackTails {
 public:
  /// At most `length` points are kept per track, and a track that is not seen for `length` frames is forgotten.
  explicit TrackTails(int64_t length = 30) : length_(length) {}

  /// Takes a frame's detections -> for each the tail of its track, oldest point first and its own last; empty where
  /// there is no track.
  std::vector<vit::Path> update(const std::vector<TrackedDetection>& detections);

 private:
  struct Tail {
    std::deque<vit::Point> points;
    int64_t seen = 0;  ///< the last frame that had it
  };
  int64_t length_, frame_ = 0;
  std::map<int64_t, Tail> tails_;
};

/// What is drawn; sizes follow the picture's.
struct AnnotateOptions {
  bool labels = true;  ///< the class' name
  bool scores = true;  ///< and the score in percent
};

/// A copy of the picture with its detections. Each class has a colour, or, where there are tracks, each track. Boxes
/// are cut to the picture, labels lie within it, on a plate of the box's colour and beside other labels as far as there
/// is room; the best scores come out on top. `tails`: as TrackTails::update gives them, or empty. Errors: an undefined
/// picture, a class without a name, another number of tails than detections.
vit::Image annotate(const vit::Image& picture, const std::vector<TrackedDetection>& detections,
                    const vit::ClassLabels& labels, const std::vector<vit::Path>& tails = {},
                    const AnnotateOptions& options = {});

}  // namespace detection
