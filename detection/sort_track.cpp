#include "detection/sort_track.h"

#include <algorithm>
#include <cmath>

namespace detection {

std::vector<TrackedDetection> SortTrack::update(const std::vector<Detection>& detections, double time_s) {
  require_trackable(detections, time_s);
  ++frames_;
  std::vector<size_t> looked_at;
  for (size_t d = 0; d < detections.size(); ++d)
    if (detections[d].score >= config_.track_high_thresh && vit::box_area(detections[d].box) > 0.0)
      looked_at.push_back(d);
  for (Track& track : tracks_) {
    track.filter.predict();
    if (track.unseen > 0) track.hits = 0;
    ++track.unseen;
    track.detection = -1;
  }
  match(detections, looked_at);
  for (const size_t d : looked_at) {
    Track track{AreaAspectFilter(detections[d].box)};
    track.label = detections[d].index;
    track.detection = static_cast<int64_t>(d);
    tracks_.push_back(track);
  }
  std::erase_if(tracks_, [&](const Track& track) { return track.unseen > config_.max_age; });

  std::vector<int64_t> ids(detections.size(), -1);
  for (Track& track : tracks_) {
    // In the first frames nothing can have been seen often enough.
    if (track.detection < 0 || (track.hits < config_.min_hits && frames_ > config_.min_hits)) continue;
    if (track.id < 0) track.id = next_id_++;
    ids[static_cast<size_t>(track.detection)] = track.id;
  }
  std::vector<TrackedDetection> reported;
  for (size_t d = 0; d < detections.size(); ++d)
    if (detections[d].score >= config_.track_high_thresh) reported.push_back({detections[d], ids[d]});
  std::stable_sort(reported.begin(), reported.end(), [](const TrackedDetection& a, const TrackedDetection& b) {
    return a.detection.score > b.detection.score;
  });
  return reported;
}

/// Takes the detections that continue a track out of the list.
void SortTrack::match(const std::vector<Detection>& all, std::vector<size_t>& looked_at) {
  const size_t columns = looked_at.size();
  std::vector<double> cost(tracks_.size() * columns);
  for (size_t t = 0; t < tracks_.size(); ++t) {
    const vit::Corners box = tracks_[t].filter.box();
    for (size_t d = 0; d < columns; ++d) {
      const Detection& found = all[looked_at[d]];
      const bool can_be = !config_.by_class || found.index == tracks_[t].label;
      cost[t * columns + d] = can_be ? 1.0 - vit::box_iou(box, found.box) : 1.0;
    }
  }
  std::vector<char> is_found(columns);
  const double limit = std::nextafter(1.0 - config_.iou_threshold, 2.0);  // the threshold itself is enough
  for (const auto& [t, d] : associate(std::move(cost), tracks_.size(), columns, limit)) {
    Track& track = tracks_[t];
    track.filter.correct(all[looked_at[d]].box);
    track.label = all[looked_at[d]].index;
    track.detection = static_cast<int64_t>(looked_at[d]);
    track.unseen = 0;
    ++track.hits;
    is_found[d] = 1;
  }
  size_t kept = 0;
  for (size_t d = 0; d < columns; ++d)
    if (is_found[d] == 0) looked_at[kept++] = looked_at[d];
  looked_at.resize(kept);
}

VITKIT_REGISTER_TRACKER("sort", [](const vit::ConfigNode& options) -> std::unique_ptr<Tracker> {
  return std::make_unique<SortTrack>(vit::read_config<SortConfig>(options));
});

}  // namespace detection
