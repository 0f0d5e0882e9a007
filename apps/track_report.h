// What `vitkit evaluate` says of tracks: figures as records and as text, and the files of --save.
#pragma once

#include <string>
#include <vector>

#include "apps/output.h"
#include "apps/report.h"
#include "detection/track_eval.h"

namespace apps {

/// One sequence with what was found in it.
struct TrackSequence {
  std::string name;
  std::vector<detection::TrackBox> truth{}, found{};
};

struct TrackEvaluation {
  Record about;  ///< what was evaluated: the first fields of the summary
  std::vector<TrackSequence> sequences{};
  detection::TrackEvalOptions options{};
  std::vector<Unreadable> unreadable{};
  double seconds = 0.0;  ///< of the model's work; 0: there was none
};

/// Counts, and prints the figures of all sequences added up ("mota", "idf1", "hota", ..., see docs/tracking.md; null:
/// nothing to divide by), with `per_sequence` those of each. Into `save`, unless it is empty, go report.json,
/// per_sequence.csv and NAME.txt per sequence with what was found in it. Errors: as count_tracks, Output, AtomicFile.
void report_tracks(const TrackEvaluation& evaluation, bool per_sequence, const std::string& save,
                   const CommonOptions& common, Output& output);

}  // namespace apps
