// The answers of `vitkit classify` in every format.
#pragma once

#include <string>
#include <vector>

#include "vit/media/clip_film.h"
#include "vit/media/video.h"
#include "vit/predictor.h"

namespace apps {

class Output;
struct FramePlace;

/// JSON: {"source", "predictions": [{"label", "index", "score"}]}, with "frame" and "time_s" where it is one of a video
///. CSV: a row per prediction. Text: the source, then a line per prediction, in percent.
/// Errors: as Output::write.
void write_predictions(Output& output, const std::string& source, const FramePlace* frame,
                       const std::vector<vit::Prediction>& predictions);

/// The same of a film that a model saw as a whole: JSON also has "frames", the numbers of those it saw, and "times_s".
/// Errors: as Output::write.
void write_film_predictions(Output& output, const std::string& source, const vit::FilmClip& clip,
                            const std::vector<vit::Prediction>& predictions);

/// JSON: {"source", "error"}, with "frame" and "time_s" as above. CSV: a row without prediction. Text: a line on
/// stderr. Errors: as Output::write.
void write_error(Output& output, const std::string& source, const FramePlace* frame, const std::string& error);

/// A live source was away. JSON: {"source", "gap": {"from", "to", "reason"}}. CSV, text: as an error.
void write_gap(Output& output, const std::string& source, const vit::VideoEvent& gap);

}  // namespace apps
