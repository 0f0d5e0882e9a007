// How well objects were followed: MOTA and MOTP (Bernardin & Stiefelhagen 2008, "CLEAR MOT"), IDF1 (Ristani et al.
// 2016, "Performance measures and a data set for multi-target, multi-camera tracking") and HOTA (Luiten et al. 2021),
// as TrackEval counts them. docs/tracking.md says what each means.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "vit/image/boxes.h"

namespace detection {

/// An object in a frame: annotated, or found.
struct TrackBox {
  int64_t frame = 0, track = 0;
  vit::Corners box{};
  int64_t label = -1;    ///< class number, for TrackEvalOptions::by_class
  bool ignored = false;  ///< annotated, but not to be counted; neither is what was found there
  double score = 1.0;    ///< of a detection; no figure uses it
};

struct TrackEvalOptions {
  double overlap = 0.5;   ///< IoU from which on something found is the object, in MOTA, MOTP and IDF1
  bool by_class = false;  ///< only boxes of the same class can be the same object
};

/// What was counted, of one sequence or, added up, of several.
struct TrackCounts {
  static constexpr size_t kAlphas = 19;  ///< overlaps 0.05, 0.10, ..., 0.95 of HOTA
  static double alpha(size_t a) { return 0.05 * static_cast<double>(a + 1); }

  int64_t frames = 0, objects = 0, detections = 0;  ///< boxes that count, annotated and found
  int64_t tracks = 0, found_tracks = 0;
  int64_t matches = 0, misses = 0, false_positives = 0, id_switches = 0;
  int64_t fragments = 0;                        ///< times that a track is found again after it was missed
  int64_t mostly_tracked = 0, mostly_lost = 0;  ///< tracks found in more than 80 %, in less than 20 % of their frames
  double overlap_sum = 0.0;                     ///< IoU of the matches
  int64_t id_matches = 0;                       ///< of the best one-to-one assignment of found tracks to tracks
  std::array<int64_t, kAlphas> hota_matches{};  ///< per overlap
  std::array<double, kAlphas> association{};    ///< sum of the matches' association accuracy
  std::array<double, kAlphas> localization{};   ///< sum of the matches' IoU

  TrackCounts& operator+=(const TrackCounts& other);
};

/// The figures, 0 to 1 (MOTA may be below 0); NaN where there is nothing to count.
struct TrackFigures {
  double mota, motp, idf1, id_precision, id_recall;
  double hota, deta, assa, loca;  ///< means over the 19 overlaps
  double precision, recall;
  /// By name, in this order.
  std::array<std::pair<const char*, double>, 11> figures() const;
};
TrackFigures figures_of(const TrackCounts& counts);

/// Counts one sequence. Boxes may stand in any order. Errors: numbers that are not finite; a track twice in a frame,
/// naming which.
TrackCounts count_tracks(const std::vector<TrackBox>& truth, const std::vector<TrackBox>& found,
                         const TrackEvalOptions& options = {});

}  // namespace detection
