// ByteTrack (Zhang et al. 2022, "ByteTrack: Multi-object tracking by associating every detection box"): detections of
// low score continue tracks, too, but never begin one.
#pragma once

#include <cstdint>
#include <vector>

#include "detection/kalman.h"
#include "detection/track.h"
#include "vit/core/config.h"

namespace detection {

struct ByteTrackConfig {
  double track_high_thresh = 0.5, track_low_thresh = 0.1, new_track_thresh = 0.6;
  double match_thresh = 0.8, second_match_thresh = 0.5, unconfirmed_match_thresh = 0.7;
  int64_t track_buffer = 30;
  bool fuse_score = true, by_class = false;

  template <class V>
  void visit_fields(V& v) {
    v("track_high_thresh", track_high_thresh, "Detections of this score or more are matched first, with all tracks.",
      vit::between(0, 1));
    v("track_low_thresh", track_low_thresh,
      "Detections between this score and track_high_thresh are matched next, with the tracks that are left over.",
      vit::between(0, 1));
    v("new_track_thresh", new_track_thresh, "Detections of this score or more begin a track where none fits.",
      vit::between(0, 1));
    v("track_buffer", track_buffer,
      "Frames at 30 per second (time counts, not frames) that an object may be out of sight and keep its track.",
      vit::between(0, 100'000));
    v("match_thresh", match_thresh, "Largest distance, 1 - IoU (times the score: fuse_score), of the first matching.",
      vit::between(0, 1));
    v("second_match_thresh", second_match_thresh, "The same of the second matching, where scores do not count.",
      vit::between(0, 1));
    v("unconfirmed_match_thresh", unconfirmed_match_thresh, "The same for tracks of one frame.", vit::between(0, 1));
    v("fuse_score", fuse_score, "Whether overlap counts times the detection's score.");
    v("by_class", by_class,
      "Whether a track keeps to one class; else an object may be taken for another class for a while.");
  }
  /// Errors (usage): track_low_thresh above track_high_thresh.
  void validate() const;
};

class ByteTrack : public Tracker {
 public:
  explicit ByteTrack(const ByteTrackConfig& config = {});
  std::vector<TrackedDetection> update(const std::vector<Detection>& detections, double time_s) override;
  double least_score() const override { return config_.track_low_thresh; }

 private:
  enum class State {
    unconfirmed,  ///< of one frame: gone if the next does not have it
    tracked,      ///< seen in the last frame
    lost,         ///< out of sight
  };
  struct Track {
    AspectHeightFilter filter;
    State state = State::unconfirmed;
    int64_t label = 0;
    int64_t id = -1;                 ///< given when it is confirmed
    double began = 0.0, seen = 0.0;  ///< on clock_
    int64_t detection = -1;          ///< position among those of the frame at hand; -1: none
  };
  using Indices = std::vector<size_t>;

  void advance_clock(double time_s);
  Indices tracks_in(State state) const;
  /// Gives tracks their detections; takes those that have found one another out of both lists.
  void match(const std::vector<Detection>& all, Indices& tracks, Indices& detections, double limit, bool fuse_score);
  /// What became of the tracks: confirmed, lost, gone.
  void settle();
  void begin_track(const std::vector<Detection>& all, size_t detection);
  void forget_duplicates();
  std::vector<TrackedDetection> report(const std::vector<Detection>& all) const;

  ByteTrackConfig config_;
  std::vector<Track> tracks_;  // by age
  double clock_ = 0.0, last_time_ = 0.0, usual_step_ = 0.0;
  bool is_first_frame_ = true;
  int64_t next_id_ = 1;
};

}  // namespace detection
