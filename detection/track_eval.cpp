#include "detection/track_eval.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "detection/matcher.h"
#include "vit/core/check.h"

namespace detection {

namespace {

constexpr size_t kA = TrackCounts::kAlphas;
constexpr double kTiny = std::numeric_limits<double>::epsilon();
constexpr size_t kNone = std::numeric_limits<size_t>::max();

/// A box by the position of its track, in rising order of ids.
struct Seen {
  size_t track;
  vit::Corners box;
  int64_t label;
};

/// A frame with the overlap of all that is in it, [objects, detections].
struct Frame {
  std::vector<Seen> truth, found;
  std::vector<double> overlaps;
  double overlap(size_t t, size_t f) const { return overlaps[t * found.size() + f]; }
};

struct Sequence {
  std::vector<Frame> frames;
  std::vector<int64_t> truth_length, found_length;  // boxes of each track
};

using Pairs = std::vector<std::pair<size_t, size_t>>;

/// The pairs of the largest total score; those without any are left out.
Pairs best_pairs(const std::vector<double>& score, size_t rows, size_t columns) {
  Pairs pairs;
  if (rows == 0 || columns == 0) return pairs;
  std::vector<double> cost(score.size());
  std::transform(score.begin(), score.end(), cost.begin(), [](double x) { return -x; });
  for (const auto& [row, column] : assign(cost, static_cast<int64_t>(rows), static_cast<int64_t>(columns))) {
    const auto r = static_cast<size_t>(row), c = static_cast<size_t>(column);
    if (score[r * columns + c] > 0.0) pairs.emplace_back(r, c);
  }
  return pairs;
}

void check_boxes(const std::vector<TrackBox>& boxes, const char* what) {
  std::set<std::pair<int64_t, int64_t>> seen;
  for (const TrackBox& box : boxes) {
    vit::check(std::all_of(box.box.begin(), box.box.end(), [](double x) { return std::isfinite(x); }),
               "tracking evaluation: ", what, " ", box.track, " in frame ", box.frame, " has a box that is not finite");
    if (!box.ignored)
      vit::check(seen.emplace(box.frame, box.track).second, "tracking evaluation: ", what, " ", box.track,
                 " stands twice in frame ", box.frame);
  }
}

double overlap_of(const TrackBox& truth, const TrackBox& found, const TrackEvalOptions& options) {
  return options.by_class && truth.label != found.label ? 0.0 : vit::box_iou(truth.box, found.box);
}

using ByFrame = std::map<int64_t, std::pair<std::vector<const TrackBox*>, std::vector<const TrackBox*>>>;

/// Takes out what is ignored, and what was found there: the pairs of largest overlap are made with all objects, so that
/// what an object that counts needs stays.
void leave_out_ignored(std::vector<const TrackBox*>& truth, std::vector<const TrackBox*>& found,
                       const TrackEvalOptions& options) {
  if (std::none_of(truth.begin(), truth.end(), [](const TrackBox* box) { return box->ignored; })) return;
  std::vector<double> score(truth.size() * found.size());
  for (size_t t = 0; t < truth.size(); ++t)
    for (size_t f = 0; f < found.size(); ++f) {
      const double overlap = overlap_of(*truth[t], *found[f], options);
      score[t * found.size() + f] = overlap >= options.overlap - kTiny ? overlap : 0.0;
    }
  std::set<const TrackBox*> dropped;
  for (const auto& [t, f] : best_pairs(score, truth.size(), found.size()))
    if (truth[t]->ignored) dropped.insert(found[f]);
  std::erase_if(found, [&](const TrackBox* box) { return dropped.count(box) > 0; });
  std::erase_if(truth, [](const TrackBox* box) { return box->ignored; });
}

/// Positions of track ids, in the order in which frames show them.
class TrackIndex {
 public:
  size_t operator()(int64_t id) { return positions_.emplace(id, positions_.size()).first->second; }
  size_t size() const { return positions_.size(); }

 private:
  std::map<int64_t, size_t> positions_;
};

Sequence make_sequence(const std::vector<TrackBox>& truth, const std::vector<TrackBox>& found,
                       const TrackEvalOptions& options) {
  ByFrame by_frame;
  for (const TrackBox& box : truth) by_frame[box.frame].first.push_back(&box);
  for (const TrackBox& box : found) by_frame[box.frame].second.push_back(&box);
  Sequence sequence;
  TrackIndex truth_index, found_index;
  for (auto& [number, boxes] : by_frame) {
    auto& [objects, detections] = boxes;
    leave_out_ignored(objects, detections, options);
    Frame frame;
    for (const TrackBox* box : objects) frame.truth.push_back({truth_index(box->track), box->box, box->label});
    for (const TrackBox* box : detections) frame.found.push_back({found_index(box->track), box->box, box->label});
    for (const TrackBox* object : objects)
      for (const TrackBox* detection : detections) frame.overlaps.push_back(overlap_of(*object, *detection, options));
    sequence.frames.push_back(std::move(frame));
  }
  sequence.truth_length.resize(truth_index.size());
  sequence.found_length.resize(found_index.size());
  for (const Frame& frame : sequence.frames) {
    for (const Seen& box : frame.truth) ++sequence.truth_length[box.track];
    for (const Seen& box : frame.found) ++sequence.found_length[box.track];
  }
  return sequence;
}

/// CLEAR MOT: who was whom in the frame before stays so while it can; the rest is matched by overlap.
void count_clear(const Sequence& sequence, const TrackEvalOptions& options, TrackCounts& counts) {
  const size_t tracks = sequence.truth_length.size();
  std::vector<size_t> last_known(tracks, kNone), in_last_frame(tracks, kNone);
  std::vector<int64_t> times_found(tracks), pieces(tracks);
  for (const Frame& frame : sequence.frames) {
    if (frame.truth.empty() || frame.found.empty()) {  // TrackEval's clear.py: such a frame interrupts nothing
      counts.misses += static_cast<int64_t>(frame.truth.size());
      counts.false_positives += static_cast<int64_t>(frame.found.size());
      continue;
    }
    std::vector<double> score(frame.overlaps.size());
    for (size_t t = 0; t < frame.truth.size(); ++t)
      for (size_t f = 0; f < frame.found.size(); ++f) {
        const double overlap = frame.overlap(t, f);
        if (overlap < options.overlap - kTiny) continue;
        const bool stays = in_last_frame[frame.truth[t].track] == frame.found[f].track;
        score[t * frame.found.size() + f] = (stays ? 1000.0 : 0.0) + overlap;
      }
    const Pairs pairs = best_pairs(score, frame.truth.size(), frame.found.size());
    std::vector<size_t> now(tracks, kNone);
    for (const auto& [t, f] : pairs) {
      const size_t track = frame.truth[t].track, found = frame.found[f].track;
      if (last_known[track] != kNone && last_known[track] != found) ++counts.id_switches;
      if (in_last_frame[track] == kNone) ++pieces[track];
      now[track] = last_known[track] = found;
      ++times_found[track];
      counts.overlap_sum += frame.overlap(t, f);
    }
    in_last_frame = std::move(now);
    counts.matches += static_cast<int64_t>(pairs.size());
    counts.misses += static_cast<int64_t>(frame.truth.size() - pairs.size());
    counts.false_positives += static_cast<int64_t>(frame.found.size() - pairs.size());
  }
  for (size_t t = 0; t < tracks; ++t) {
    const double share = static_cast<double>(times_found[t]) / static_cast<double>(sequence.truth_length[t]);
    counts.mostly_tracked += share > 0.8 ? 1 : 0;
    counts.mostly_lost += share < 0.2 ? 1 : 0;
    counts.fragments += std::max<int64_t>(0, pieces[t] - 1);
  }
}

/// Identity: one found track per track for the whole sequence, so that most boxes agree.
void count_identity(const Sequence& sequence, const TrackEvalOptions& options, TrackCounts& counts) {
  const size_t columns = sequence.found_length.size();
  std::vector<double> together(sequence.truth_length.size() * columns);
  for (const Frame& frame : sequence.frames)
    for (size_t t = 0; t < frame.truth.size(); ++t)
      for (size_t f = 0; f < frame.found.size(); ++f)
        if (frame.overlap(t, f) >= options.overlap - kTiny)
          ++together[frame.truth[t].track * columns + frame.found[f].track];
  for (const auto& [t, f] : best_pairs(together, sequence.truth_length.size(), columns))
    counts.id_matches += static_cast<int64_t>(together[t * columns + f]);
}

/// How well each pair of tracks fits over the whole sequence: the soft Jaccard index of section 5.3 ("global alignment
/// score" of the authors' code).
std::vector<double> alignment_of(const Sequence& sequence) {
  const size_t rows = sequence.truth_length.size(), columns = sequence.found_length.size();
  std::vector<double> together(rows * columns);
  for (const Frame& frame : sequence.frames) {
    std::vector<double> of_truth(frame.truth.size()), of_found(frame.found.size());
    for (size_t t = 0; t < frame.truth.size(); ++t)
      for (size_t f = 0; f < frame.found.size(); ++f) {
        of_truth[t] += frame.overlap(t, f);
        of_found[f] += frame.overlap(t, f);
      }
    for (size_t t = 0; t < frame.truth.size(); ++t)
      for (size_t f = 0; f < frame.found.size(); ++f) {
        const double either = of_truth[t] + of_found[f] - frame.overlap(t, f);
        if (either > kTiny)
          together[frame.truth[t].track * columns + frame.found[f].track] += frame.overlap(t, f) / either;
      }
  }
  for (size_t t = 0; t < rows; ++t)
    for (size_t f = 0; f < columns; ++f) {
      double& value = together[t * columns + f];
      value /= static_cast<double>(sequence.truth_length[t] + sequence.found_length[f]) - value;
    }
  return together;
}

/// HOTA: one matching per frame, by alignment and overlap; each overlap alpha then counts those of its pairs that reach
/// it.
void count_hota(const Sequence& sequence, TrackCounts& counts) {
  const std::vector<double> alignment = alignment_of(sequence);
  const size_t columns = sequence.found_length.size();
  std::array<std::map<std::pair<size_t, size_t>, int64_t>, kA> together;
  for (const Frame& frame : sequence.frames) {
    std::vector<double> score(frame.overlaps.size());
    for (size_t t = 0; t < frame.truth.size(); ++t)
      for (size_t f = 0; f < frame.found.size(); ++f)
        score[t * frame.found.size() + f] =
            alignment[frame.truth[t].track * columns + frame.found[f].track] * frame.overlap(t, f);
    for (const auto& [t, f] : best_pairs(score, frame.truth.size(), frame.found.size()))
      for (size_t a = 0; a < kA && frame.overlap(t, f) >= TrackCounts::alpha(a) - kTiny; ++a) {
        ++together[a][{frame.truth[t].track, frame.found[f].track}];
        ++counts.hota_matches[a];
        counts.localization[a] += frame.overlap(t, f);
      }
  }
  for (size_t a = 0; a < kA; ++a)
    for (const auto& [pair, count] : together[a]) {
      const int64_t either = sequence.truth_length[pair.first] + sequence.found_length[pair.second] - count;
      counts.association[a] += static_cast<double>(count * count) / static_cast<double>(either);
    }
}

/// NaN where there is nothing to divide by.
double ratio(double numerator, double denominator) {
  return denominator > 0.0 ? numerator / denominator : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

TrackCounts& TrackCounts::operator+=(const TrackCounts& other) {
  for (int64_t TrackCounts::*count :
       {&TrackCounts::frames, &TrackCounts::objects, &TrackCounts::detections, &TrackCounts::tracks,
        &TrackCounts::found_tracks, &TrackCounts::matches, &TrackCounts::misses, &TrackCounts::false_positives,
        &TrackCounts::id_switches, &TrackCounts::fragments, &TrackCounts::mostly_tracked, &TrackCounts::mostly_lost,
        &TrackCounts::id_matches})
    this->*count += other.*count;
  overlap_sum += other.overlap_sum;
  for (size_t a = 0; a < kAlphas; ++a) {
    hota_matches[a] += other.hota_matches[a];
    association[a] += other.association[a];
    localization[a] += other.localization[a];
  }
  return *this;
}

std::array<std::pair<const char*, double>, 11> TrackFigures::figures() const {
  return {{{"mota", mota},
           {"motp", motp},
           {"idf1", idf1},
           {"id_precision", id_precision},
           {"id_recall", id_recall},
           {"hota", hota},
           {"deta", deta},
           {"assa", assa},
           {"loca", loca},
           {"precision", precision},
           {"recall", recall}}};
}

TrackFigures figures_of(const TrackCounts& counts) {
  const auto objects = static_cast<double>(counts.objects), detections = static_cast<double>(counts.detections);
  const auto matches = static_cast<double>(counts.matches), id_matches = static_cast<double>(counts.id_matches);
  TrackFigures figures{};
  figures.mota = ratio(matches - static_cast<double>(counts.false_positives + counts.id_switches), objects);
  figures.motp = ratio(counts.overlap_sum, matches);
  figures.idf1 = ratio(2.0 * id_matches, objects + detections);
  figures.id_precision = ratio(id_matches, detections);
  figures.id_recall = ratio(id_matches, objects);
  figures.precision = ratio(matches, detections);
  figures.recall = ratio(matches, objects);
  for (size_t a = 0; a < TrackCounts::kAlphas; ++a) {
    const auto right = static_cast<double>(counts.hota_matches[a]);
    const double deta = ratio(right, objects + detections - right);
    const double assa = counts.association[a] / std::max(1.0, right);
    figures.deta += deta;
    figures.assa += assa;
    figures.hota += std::sqrt(deta * assa);
    figures.loca += right > 0.0 ? counts.localization[a] / right : 1.0;
  }
  for (double* mean : {&figures.deta, &figures.assa, &figures.hota, &figures.loca})
    *mean /= static_cast<double>(TrackCounts::kAlphas);
  return figures;
}

TrackCounts count_tracks(const std::vector<TrackBox>& truth, const std::vector<TrackBox>& found,
                         const TrackEvalOptions& options) {
  vit::check(options.overlap > 0.0 && options.overlap <= 1.0, "tracking evaluation: the overlap is ", options.overlap,
             ", expected a number above 0, up to 1");
  check_boxes(truth, "the annotated track");
  check_boxes(found, "the found track");
  const Sequence sequence = make_sequence(truth, found, options);
  TrackCounts counts;
  counts.frames = static_cast<int64_t>(sequence.frames.size());
  counts.tracks = static_cast<int64_t>(sequence.truth_length.size());
  counts.found_tracks = static_cast<int64_t>(sequence.found_length.size());
  for (const int64_t length : sequence.truth_length) counts.objects += length;
  for (const int64_t length : sequence.found_length) counts.detections += length;
  count_clear(sequence, options, counts);
  count_identity(sequence, options, counts);
  count_hota(sequence, counts);
  return counts;
}

}  // namespace detection
