#include "detection/byte_track.h"

#include <algorithm>

#include "vit/core/check.h"

namespace detection {

namespace {

/// What track_buffer counts in, and how much later a frame is whose time says nothing.
constexpr double kFrame = 1.0 / 30.0;
/// Two tracks whose boxes are nearer to one another, as 1 - IoU, follow the same object.
constexpr double kDuplicate = 0.15;

void take_out(std::vector<size_t>& list, const std::vector<char>& is_taken) {
  size_t kept = 0;
  for (size_t i = 0; i < list.size(); ++i)
    if (is_taken[i] == 0) list[kept++] = list[i];
  list.resize(kept);
}

}  // namespace

void ByteTrackConfig::validate() const {
  if (track_low_thresh > track_high_thresh)
    vit::fail_usage("track_low_thresh is ", track_low_thresh, ", above track_high_thresh, ", track_high_thresh);
}

ByteTrack::ByteTrack(const ByteTrackConfig& config) : config_(config) { config_.validate(); }

std::vector<TrackedDetection> ByteTrack::update(const std::vector<Detection>& detections, double time_s) {
  require_trackable(detections, time_s);
  advance_clock(time_s);
  Indices high, low;
  for (size_t d = 0; d < detections.size(); ++d) {
    const double score = detections[d].score;
    if (vit::box_area(detections[d].box) <= 0.0 || score < config_.track_low_thresh) continue;
    (score >= config_.track_high_thresh ? high : low).push_back(d);
  }
  for (Track& track : tracks_) {
    track.detection = -1;
    if (track.state == State::unconfirmed) continue;  // of one frame: nothing is known of its velocity
    if (track.state == State::lost) track.filter.stop_growth();
    track.filter.predict();
  }
  Indices confirmed = tracks_in(State::tracked), unconfirmed = tracks_in(State::unconfirmed);
  for (const size_t t : tracks_in(State::lost)) confirmed.push_back(t);
  match(detections, confirmed, high, config_.match_thresh, config_.fuse_score);
  std::erase_if(confirmed, [&](size_t t) { return tracks_[t].state == State::lost; });
  match(detections, confirmed, low, config_.second_match_thresh, false);
  match(detections, unconfirmed, high, config_.unconfirmed_match_thresh, config_.fuse_score);
  settle();
  for (const size_t d : high)
    if (detections[d].score >= config_.new_track_thresh) begin_track(detections, d);
  forget_duplicates();
  is_first_frame_ = false;
  return report(detections);
}

void ByteTrack::advance_clock(double time_s) {
  const double step = time_s - last_time_;
  if (is_first_frame_ || step <= 0.0) {
    clock_ += kFrame;
  } else {
    clock_ += step;
    // Nothing was seen for so long that nothing is where it was; where frames are rare, that is the usual.
    const bool is_rare = usual_step_ <= 0.0 || step < 2.0 * usual_step_;
    if (!is_rare && step > static_cast<double>(config_.track_buffer + 1) * kFrame) tracks_.clear();
    usual_step_ = step;
  }
  last_time_ = time_s;
}

ByteTrack::Indices ByteTrack::tracks_in(State state) const {
  Indices found;
  for (size_t t = 0; t < tracks_.size(); ++t)
    if (tracks_[t].state == state) found.push_back(t);
  return found;
}

void ByteTrack::match(const std::vector<Detection>& all, Indices& tracks, Indices& detections, double limit,
                      bool fuse_score) {
  std::vector<double> cost(tracks.size() * detections.size());
  for (size_t t = 0; t < tracks.size(); ++t) {
    const Track& track = tracks_[tracks[t]];
    const vit::Corners box = track.filter.box();
    for (size_t d = 0; d < detections.size(); ++d) {
      const Detection& found = all[detections[d]];
      const bool can_be = !config_.by_class || found.index == track.label;
      cost[t * detections.size() + d] =
          1.0 - (can_be ? vit::box_iou(box, found.box) * (fuse_score ? found.score : 1.0) : 0.0);
    }
  }
  std::vector<char> has_found(tracks.size()), is_found(detections.size());
  for (const auto& [t, d] : associate(std::move(cost), tracks.size(), detections.size(), limit)) {
    Track& track = tracks_[tracks[t]];
    track.detection = static_cast<int64_t>(detections[d]);
    track.label = all[detections[d]].index;
    track.filter.correct(all[detections[d]].box);
    has_found[t] = is_found[d] = 1;
  }
  take_out(tracks, has_found);
  take_out(detections, is_found);
}

void ByteTrack::settle() {
  // A frame may lack an object, however rare frames are.
  const double buffer = std::max(static_cast<double>(config_.track_buffer) * kFrame, usual_step_);
  for (Track& track : tracks_) {
    if (track.detection >= 0) {
      if (track.state == State::unconfirmed) track.id = next_id_++;
      track.state = State::tracked;
      track.seen = clock_;
    } else if (track.state == State::tracked) {
      track.state = State::lost;
    }
  }
  // Half a frame is for the rounding of times.
  std::erase_if(tracks_, [&](const Track& track) {
    return track.detection < 0 && (track.state == State::unconfirmed || clock_ - track.seen > buffer + 0.5 * kFrame);
  });
}

void ByteTrack::begin_track(const std::vector<Detection>& all, size_t detection) {
  Track track{AspectHeightFilter(all[detection].box)};
  track.label = all[detection].index;
  track.began = track.seen = clock_;
  track.detection = static_cast<int64_t>(detection);
  if (is_first_frame_) {  // no frame before it could have had them
    track.state = State::tracked;
    track.id = next_id_++;
  }
  tracks_.push_back(track);
}

/// Of a track in sight and a lost one on the same place, the one that was followed for longer stays.
void ByteTrack::forget_duplicates() {
  std::vector<char> is_duplicate(tracks_.size());
  for (const size_t t : tracks_in(State::tracked))
    for (const size_t l : tracks_in(State::lost)) {
      const Track &seen = tracks_[t], &lost = tracks_[l];
      if (config_.by_class && seen.label != lost.label) continue;
      if (1.0 - vit::box_iou(seen.filter.box(), lost.filter.box()) >= kDuplicate) continue;
      is_duplicate[seen.seen - seen.began > lost.seen - lost.began ? l : t] = 1;
    }
  size_t t = 0;
  std::erase_if(tracks_, [&](const Track&) { return is_duplicate[t++] != 0; });
}

std::vector<TrackedDetection> ByteTrack::report(const std::vector<Detection>& all) const {
  std::vector<int64_t> ids(all.size(), -1);
  for (const Track& track : tracks_)
    if (track.detection >= 0) ids[static_cast<size_t>(track.detection)] = track.id;
  std::vector<TrackedDetection> reported;
  for (size_t d = 0; d < all.size(); ++d)
    if (ids[d] > 0 || all[d].score >= config_.track_high_thresh) reported.push_back({all[d], ids[d]});
  std::stable_sort(reported.begin(), reported.end(), [](const TrackedDetection& a, const TrackedDetection& b) {
    return a.detection.score > b.detection.score;
  });
  return reported;
}

VITKIT_REGISTER_TRACKER("bytetrack", [](const vit::ConfigNode& options) -> std::unique_ptr<Tracker> {
  return std::make_unique<ByteTrack>(vit::read_config<ByteTrackConfig>(options));
});

}  // namespace detection
