// Tracks as text, in the form of the MOT Challenge: a line per box, "frame,track,left,top,width,height,score,..."
// (frames from 1, pixels).
#pragma once

#include <filesystem>
#include <vector>

#include "detection/track_eval.h"

namespace detection {

enum class MotKind {
  truth,    ///< column 7 says whether a box counts (0: it is ignored), column 8 its class
  results,  ///< column 7 is a score, those after it are not used
};

/// Commas, blanks or tabs separate; empty lines and lines that begin with # are skipped. Boxes in the order of the
/// file. A column that is missing, or a class of -1, says nothing. Errors (usage): no such file; a line with fewer than
/// six numbers, one that is no finite number, a width or height that is not above zero, naming file and line.
std::vector<TrackBox> read_mot(const std::filesystem::path& path, MotKind kind);

/// Lines as read_mot reads them, every number so that reading gives it back. Errors: as AtomicFile.
void write_mot(const std::filesystem::path& path, const std::vector<TrackBox>& boxes, MotKind kind);

}  // namespace detection
