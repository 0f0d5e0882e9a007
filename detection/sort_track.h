// SORT (Bewley et al. 2016, "Simple online and realtime tracking"): predicted boxes and detections are matched once per
// frame, by overlap.
#pragma once

#include <cstdint>
#include <vector>

#include "detection/kalman.h"
#include "detection/track.h"
#include "vit/core/config.h"

namespace detection {

struct SortConfig {
  double track_high_thresh = 0.5, iou_threshold = 0.3;
  int64_t min_hits = 3, max_age = 10;
  bool by_class = false;

  template <class V>
  void visit_fields(V& v) {
    v("track_high_thresh", track_high_thresh, "Detections of a lower score are not looked at.", vit::between(0, 1));
    v("iou_threshold", iou_threshold, "Least overlap of a detection with the place where its track should be.",
      vit::between(0, 1));
    v("min_hits", min_hits, "Frames in a row that must have an object before it gets a number.", vit::at_least(1));
    v("max_age", max_age, "Frames that an object may be out of sight and keep its track; the paper has 1.",
      vit::at_least(0));
    v("by_class", by_class,
      "Whether a track keeps to one class; else an object may be taken for another class for a while.");
  }
};

class SortTrack : public Tracker {
 public:
  explicit SortTrack(const SortConfig& config = {}) : config_(config) {}
  std::vector<TrackedDetection> update(const std::vector<Detection>& detections, double time_s) override;
  double least_score() const override { return config_.track_high_thresh; }

 private:
  struct Track {
    AreaAspectFilter filter;
    int64_t label = 0;
    int64_t id = -1;         ///< given when it is reported first
    int64_t hits = 0;        ///< frames in a row, after the one it began in
    int64_t unseen = 0;      ///< frames since it was seen
    int64_t detection = -1;  ///< position among those of the frame at hand; -1: none
  };

  void match(const std::vector<Detection>& all, std::vector<size_t>& looked_at);

  SortConfig config_;
  std::vector<Track> tracks_;  // by age
  int64_t frames_ = 0, next_id_ = 1;
};

}  // namespace detection
