#include "detection/coco_eval.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "detection/coco_match.h"
#include "vit/core/check.h"
#include "vit/core/parallel.h"

namespace detection {

using vit::fail;

namespace {

constexpr size_t kT = CocoResult::kThresholds, kR = CocoResult::kRecalls, kA = CocoResult::kAreas,
                 kM = CocoResult::kLimits;

bool finite(const CocoBox& box) {
  return std::all_of(box.begin(), box.end(), [](double x) { return std::isfinite(x); });
}

std::string shown(const CocoBox& box) { return vit::str("[", box[0], ", ", box[1], ", ", box[2], ", ", box[3], "]"); }

/// Ids in rising order, and the position of each.
struct Index {
  Index(std::vector<int64_t> all, const char* what) : ids(std::move(all)) {
    std::sort(ids.begin(), ids.end());
    for (size_t i = 0; i < ids.size(); ++i)
      if (!position.emplace(ids[i], i).second) fail("COCO evaluation: ", what, " id ", ids[i], " stands twice");
  }
  /// ids.size() where there is none.
  size_t find(int64_t id) const {
    const auto found = position.find(id);
    return found == position.end() ? ids.size() : found->second;
  }
  std::vector<int64_t> ids;
  std::unordered_map<int64_t, size_t> position;
};

/// What belongs to a class and a picture, by position in the input, in its order.
struct Entry {
  size_t image, index;
};
using Entries = std::vector<Entry>;

void by_image(Entries& entries) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.image < b.image; });
}

std::vector<Entries> sort_objects(const CocoTruth& truth, const Index& images, const Index& categories) {
  std::vector<Entries> entries(categories.ids.size());
  for (size_t i = 0; i < truth.objects.size(); ++i) {
    const CocoObject& object = truth.objects[i];
    const size_t image = images.find(object.image), category = categories.find(object.category);
    if (image == images.ids.size())
      fail("COCO evaluation: an object is in image ", object.image, ", which is not among the images");
    if (category == categories.ids.size())
      fail("COCO evaluation: an object of image ", object.image, " has the category id ", object.category,
           ", which is not among the categories");
    if (!finite(object.box) || !std::isfinite(object.area))
      fail("COCO evaluation: an object of image ", object.image, " has the box ", shown(object.box), " and the area ",
           object.area, ": expected finite numbers");
    entries[category].push_back({image, i});
  }
  return entries;
}

std::vector<Entries> sort_detections(const std::vector<CocoDetection>& detections, const Index& images,
                                     const Index& categories) {
  std::vector<Entries> entries(categories.ids.size());
  for (size_t i = 0; i < detections.size(); ++i) {
    const CocoDetection& found = detections[i];
    const size_t image = images.find(found.image), category = categories.find(found.category);
    if (image == images.ids.size())
      fail("COCO evaluation: detection ", i, " is in image ", found.image,
           ", which is not among the images: are these detections of another set or split?");
    if (!finite(found.box) || !std::isfinite(found.score))
      fail("COCO evaluation: detection ", i, " (image ", found.image, ") has the box ", shown(found.box),
           " and the score ", found.score, ": expected finite numbers");
    if (category < categories.ids.size()) entries[category].push_back({image, i});
  }
  return entries;
}

}  // namespace

std::array<std::pair<const char*, double>, CocoSummary::kCount> CocoSummary::figures() const {
  return {{{"map", map},
           {"map50", map50},
           {"map75", map75},
           {"map_small", map_small},
           {"map_medium", map_medium},
           {"map_large", map_large},
           {"mar1", mar1},
           {"mar10", mar10},
           {"mar100", mar100},
           {"mar_small", mar_small},
           {"mar_medium", mar_medium},
           {"mar_large", mar_large}}};
}

/// Turns what became of the detections of one class into its precision and recall.
class CocoCounter {
 public:
  CocoCounter(CocoResult& result, size_t k) : result_(result), k_(k) {}

  void count(const Entries& objects, const CocoTruth& truth, const Entries& found,
             const std::vector<CocoDetection>& detections) {
    match_pictures(objects, truth, found, detections);
    result_.objects_[k_] = counted_[0];
    result_.detections_[k_] = static_cast<int64_t>(found.size());
    std::vector<size_t> order(matches_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return matches_[a].score > matches_[b].score; });
    for (size_t a = 0; a < kA; ++a) {
      if (counted_[a] == 0) continue;
      for (size_t limit = 0; limit < kM; ++limit)
        for (size_t t = 0; t < kT; ++t) accumulate(order, a, limit, t);
    }
  }

 private:
  void match_pictures(const Entries& objects, const CocoTruth& truth, const Entries& found,
                      const std::vector<CocoDetection>& detections) {
    size_t o = 0, d = 0;
    std::vector<const CocoObject*> here;
    std::vector<const CocoDetection*> boxes;
    while (o < objects.size() || d < found.size()) {
      const size_t image = std::min(o < objects.size() ? objects[o].image : std::numeric_limits<size_t>::max(),
                                    d < found.size() ? found[d].image : std::numeric_limits<size_t>::max());
      here.clear();
      boxes.clear();
      for (; o < objects.size() && objects[o].image == image; ++o) here.push_back(&truth.objects[objects[o].index]);
      for (; d < found.size() && found[d].image == image; ++d) boxes.push_back(&detections[found[d].index]);
      const std::array<int64_t, kA> counted = match_picture(here, std::move(boxes), matches_);
      for (size_t a = 0; a < kA; ++a) counted_[a] += counted[a];
    }
  }

  /// Precision and recall after each detection, best first; precision is made to fall, and read off at the recalls.
  void accumulate(const std::vector<size_t>& order, size_t a, size_t limit, size_t t) {
    const auto bit = static_cast<uint16_t>(1u << t);
    recalls_.clear();
    precisions_.clear();
    scores_.clear();
    double right = 0.0, wrong = 0.0;
    for (const size_t i : order) {
      const DetectionMatch& match = matches_[i];
      if (match.rank >= CocoResult::kMaxDetections[limit]) continue;
      if ((match.ignored[a] & bit) == 0) (match.matched[a] & bit) != 0 ? ++right : ++wrong;
      recalls_.push_back(right / static_cast<double>(counted_[a]));
      precisions_.push_back(right / (wrong + right + std::numeric_limits<double>::epsilon()));
      scores_.push_back(match.score);
    }
    const auto area = static_cast<CocoArea>(a);
    result_.recall_[result_.cell(t, k_, area, limit)] = recalls_.empty() ? 0.0 : recalls_.back();
    if (limit + 1 < kM) return;
    for (size_t i = precisions_.size(); i-- > 1;) precisions_[i - 1] = std::max(precisions_[i - 1], precisions_[i]);
    const size_t curve = result_.curve(t, k_, area);
    for (size_t r = 0; r < kR; ++r) {
      const auto place = static_cast<size_t>(
          std::lower_bound(recalls_.begin(), recalls_.end(), CocoResult::recall_point(r)) - recalls_.begin());
      const bool reached = place < recalls_.size();
      result_.precision_[curve + r] = reached ? precisions_[place] : 0.0;
      result_.score_[curve + r] = reached ? scores_[place] : 0.0;
    }
  }

  CocoResult& result_;
  size_t k_;
  std::vector<DetectionMatch> matches_;  // pictures in the order of their ids, best first within each
  std::array<int64_t, kA> counted_{};
  std::vector<double> recalls_, precisions_, scores_;
};

// As numpy's linspace has them, to the last bit: a step times a position, the last one set.
double CocoResult::threshold(size_t t) {
  return t + 1 == kThresholds ? 0.95 : 0.5 + static_cast<double>(t) * ((0.95 - 0.5) / 9.0);
}
double CocoResult::recall_point(size_t r) { return r + 1 == kRecalls ? 1.0 : static_cast<double>(r) * (1.0 / 100.0); }

CocoResult::CocoResult(std::vector<int64_t> categories)
    : categories_(std::move(categories)),
      precision_(categories_.size() * kA * kT * kR, -1.0),
      score_(categories_.size() * kA * kT * kR, 0.0),
      recall_(categories_.size() * kA * kM * kT, -1.0),
      objects_(categories_.size()),
      detections_(categories_.size()) {}

size_t CocoResult::curve(size_t t, size_t k, CocoArea area) const {
  return ((k * kA + static_cast<size_t>(area)) * kT + t) * kR;
}
size_t CocoResult::cell(size_t t, size_t k, CocoArea area, size_t limit) const {
  return ((k * kA + static_cast<size_t>(area)) * kM + limit) * kT + t;
}

double CocoResult::precision(size_t t, size_t r, size_t k, CocoArea area) const {
  return precision_.at(curve(t, k, area) + r);
}
double CocoResult::score(size_t t, size_t r, size_t k, CocoArea area) const { return score_.at(curve(t, k, area) + r); }
double CocoResult::recall(size_t t, size_t k, CocoArea area, size_t limit) const {
  return recall_.at(cell(t, k, area, limit));
}

/// `threshold` below 0: mean over all. Over classes [first, last).
double CocoResult::mean_precision_of(size_t first, size_t last, CocoArea area, int threshold) const {
  double sum = 0.0;
  size_t count = 0;
  for (size_t k = first; k < last; ++k)
    for (size_t t = 0; t < kThresholds; ++t) {
      if (threshold >= 0 && static_cast<size_t>(threshold) != t) continue;
      for (size_t r = 0; r < kRecalls; ++r)
        if (const double value = precision(t, r, k, area); value > -1.0) sum += value, ++count;
    }
  return count == 0 ? -1.0 : sum / static_cast<double>(count);
}

double CocoResult::mean_recall_of(size_t first, size_t last, CocoArea area, size_t limit) const {
  double sum = 0.0;
  size_t count = 0;
  for (size_t k = first; k < last; ++k)
    for (size_t t = 0; t < kThresholds; ++t)
      if (const double value = recall(t, k, area, limit); value > -1.0) sum += value, ++count;
  return count == 0 ? -1.0 : sum / static_cast<double>(count);
}

CocoSummary CocoResult::summary(size_t first, size_t last) const {
  const auto ap = [&](CocoArea area, int t = -1) { return mean_precision_of(first, last, area, t); };
  const auto ar = [&](CocoArea area, size_t limit = kLimits - 1) { return mean_recall_of(first, last, area, limit); };
  return {.map = ap(CocoArea::all),
          .map50 = ap(CocoArea::all, 0),
          .map75 = ap(CocoArea::all, 5),
          .map_small = ap(CocoArea::small),
          .map_medium = ap(CocoArea::medium),
          .map_large = ap(CocoArea::large),
          .mar1 = ar(CocoArea::all, 0),
          .mar10 = ar(CocoArea::all, 1),
          .mar100 = ar(CocoArea::all),
          .mar_small = ar(CocoArea::small),
          .mar_medium = ar(CocoArea::medium),
          .mar_large = ar(CocoArea::large)};
}

CocoSummary CocoResult::summary() const { return summary(0, categories_.size()); }
CocoSummary CocoResult::summary(size_t k) const { return summary(k, k + 1); }

std::vector<double> CocoResult::mean_precision(size_t t) const {
  std::vector<double> mean(kRecalls, 0.0);
  double classes = 0.0;
  for (size_t k = 0; k < categories_.size(); ++k) {
    if (objects_[k] == 0) continue;
    ++classes;
    for (size_t r = 0; r < kRecalls; ++r) mean[r] += precision(t, r, k);
  }
  if (classes == 0.0) return {};
  for (double& value : mean) value /= classes;
  return mean;
}

CocoResult evaluate_coco(const CocoTruth& truth, const std::vector<CocoDetection>& detections) {
  const Index images(truth.images, "image"), categories(truth.categories, "category");
  std::vector<Entries> objects = sort_objects(truth, images, categories),
                       found = sort_detections(detections, images, categories);
  CocoResult result(categories.ids);
  vit::parallel_try(static_cast<int64_t>(categories.ids.size()), [&](int64_t k) {
    const auto c = static_cast<size_t>(k);
    by_image(objects[c]);
    by_image(found[c]);
    CocoCounter(result, c).count(objects[c], truth, found[c], detections);
  });
  return result;
}

CocoEvaluator::CocoEvaluator(std::vector<std::string> classes) {
  truth_.categories.resize(classes.size());
  std::iota(truth_.categories.begin(), truth_.categories.end(), int64_t{0});
  truth_.names = std::move(classes);
}

void CocoEvaluator::add(int64_t image, const std::vector<datasets::BoxAnnotation>& truth,
                        const std::vector<Detection>& detections) {
  truth_.images.push_back(image);
  for (const datasets::BoxAnnotation& object : truth)
    truth_.objects.push_back({.image = image,
                              .category = object.label,
                              .box = coco_box(object.box),
                              .area = object.area,
                              .crowd = object.crowd,
                              .difficult = object.difficult});
  for (const Detection& found : detections)
    detections_.push_back({image, found.index, coco_box(found.box), found.score});
}

CocoBox coco_box(const vit::Corners& box) { return {box[0], box[1], box[2] - box[0], box[3] - box[1]}; }
vit::Corners corners_of(const CocoBox& box) { return {box[0], box[1], box[0] + box[2], box[1] + box[3]}; }

}  // namespace detection
