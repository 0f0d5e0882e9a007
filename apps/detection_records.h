// The answers of `vitkit detect` in every format.
#pragma once

#include <string>

#include "apps/output.h"
#include "detection/video_pipeline.h"

namespace vit {
class ClassLabels;
}

namespace apps {

/// {"source","frame","time_s","width","height","detections":[{"label","index","score","box":[x1,y1,x2,y2],"track"}]},
/// boxes in pixels of the source, as the model has them: they may reach beyond it. A picture is frame 0 at 0 seconds;
/// `track` is null where nothing is tracked. Live sources add "lag_ms", from reading the frame to now, and "dropped",
/// the frames that nobody took since the one before. A frame that failed: {"source","frame","time_s","error"}, a
/// picture or a source: {"source","error"}; a live source that was away: {"source","gap":{"from","to","reason"}}. Null
/// for the end of a video.
Record detection_record(const detection::FrameResult& frame, const vit::ClassLabels& labels);

/// Writes a result: JSON as above; CSV with a row per detection, error or gap; text with a line per detection of a
/// picture and a line per frame of a video. In text form errors are lines on stderr. Errors: as Output::write.
void write_detections(Output& output, const detection::FrameResult& frame, const vit::ClassLabels& labels);

/// Why there is no answer; empty where there is one.
const std::string& failure_of(const detection::FrameResult& frame);

}  // namespace apps
