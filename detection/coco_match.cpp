#include "detection/coco_match.h"

#include <algorithm>
#include <cmath>

namespace detection {

namespace {

constexpr size_t kA = CocoResult::kAreas, kT = CocoResult::kThresholds;

struct AreaRange {
  double low, high;
  bool has(double area) const { return area >= low && area <= high; }
};
/// Both ends belong to a range: an object of 32 x 32 pixels is small and medium.
constexpr std::array<AreaRange, kA> kRanges = {{{0.0, 1e10}, {0.0, 1024.0}, {1024.0, 9216.0}, {9216.0, 1e10}}};

/// One range of areas: objects in the order in which they are tried, those that count first.
struct Candidates {
  std::vector<size_t> order;
  size_t counted = 0;  ///< the first ones of the order
};

Candidates candidates(const std::vector<const CocoObject*>& objects, const AreaRange& range) {
  Candidates result;
  const auto counts = [&](size_t g) {
    const CocoObject& object = *objects[g];
    return !object.crowd && !object.difficult && range.has(object.area);
  };
  for (size_t g = 0; g < objects.size(); ++g)
    if (counts(g)) result.order.push_back(g);
  result.counted = result.order.size();
  for (size_t g = 0; g < objects.size(); ++g)
    if (!counts(g)) result.order.push_back(g);
  return result;
}

/// The place in `order` of the object with the largest overlap that is free; of equal ones the last. Objects that do
/// not count are only looked at when none that counts fits. order.size(): none.
size_t best_object(const Candidates& range, const std::vector<const CocoObject*>& objects, const double* overlaps,
                   const std::vector<char>& taken, double least) {
  size_t best = range.order.size();
  for (size_t place = 0; place < range.order.size(); ++place) {
    const size_t g = range.order[place];
    if (taken[place] != 0 && !objects[g]->crowd && !objects[g]->difficult) continue;
    if (best < range.counted && place >= range.counted) break;
    if (overlaps[g] < least) continue;
    least = overlaps[g];
    best = place;
  }
  return best;
}

}  // namespace

double coco_overlap(const CocoBox& detection, const CocoBox& object, bool crowd) {
  const double width = std::min(detection[0] + detection[2], object[0] + object[2]) - std::max(detection[0], object[0]);
  const double height =
      std::min(detection[1] + detection[3], object[1] + object[3]) - std::max(detection[1], object[1]);
  if (width <= 0.0 || height <= 0.0) return 0.0;
  const double both = width * height, own = detection[2] * detection[3];
  return both / (crowd ? own : own + object[2] * object[3] - both);
}

std::array<int64_t, kA> match_picture(const std::vector<const CocoObject*>& objects,
                                      std::vector<const CocoDetection*> detections,
                                      std::vector<DetectionMatch>& matches) {
  std::stable_sort(detections.begin(), detections.end(),
                   [](const CocoDetection* a, const CocoDetection* b) { return a->score > b->score; });
  constexpr auto kMost = static_cast<size_t>(CocoResult::kMaxDetections.back());
  if (detections.size() > kMost) detections.resize(kMost);
  const size_t count = objects.size(), first = matches.size();
  std::vector<double> overlaps(detections.size() * count);  // [D, G]
  for (size_t d = 0; d < detections.size(); ++d) {
    matches.push_back({.score = detections[d]->score, .rank = static_cast<int64_t>(d)});
    for (size_t g = 0; g < count; ++g)
      overlaps[d * count + g] = coco_overlap(detections[d]->box, objects[g]->box, objects[g]->crowd);
  }
  std::array<int64_t, kA> counted{};
  std::vector<char> taken(count);
  for (size_t a = 0; a < kA; ++a) {
    const Candidates range = candidates(objects, kRanges[a]);
    counted[a] = static_cast<int64_t>(range.counted);
    for (size_t t = 0; t < kT; ++t) {
      const double least = std::min(CocoResult::threshold(t), 1.0 - 1e-10);
      std::fill(taken.begin(), taken.end(), char{0});
      for (size_t d = 0; d < detections.size(); ++d) {
        const size_t place = best_object(range, objects, overlaps.data() + d * count, taken, least);
        const bool found = place < count;
        if (found) taken[place] = 1;
        const bool is_object = found && objects[range.order[place]]->id != 0;
        const double area = detections[d]->box[2] * detections[d]->box[3];
        const bool ignored = (found && place >= range.counted) || (!is_object && !kRanges[a].has(area));
        DetectionMatch& match = matches[first + d];
        match.matched[a] = static_cast<uint16_t>(match.matched[a] | (is_object ? 1u << t : 0u));
        match.ignored[a] = static_cast<uint16_t>(match.ignored[a] | (ignored ? 1u << t : 0u));
      }
    }
  }
  return counted;
}

}  // namespace detection
