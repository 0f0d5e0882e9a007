// From sources to detections: pictures, films and streams are read, pre-processed, inferred, post-processed and tracked
// at the same time, in bounded memory; what becomes of the results (drawing, writing) are further stages, the caller's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "detection/detector.h"
#include "detection/track.h"
#include "vit/core/pipeline.h"
#include "vit/image/path.h"
#include "vit/media/frame_feed.h"

namespace detection {

/// What later stages make of a result, for those after them: files are encoded on many threads and written by one.
struct Rendering {
  vit::Image picture;                   ///< with the detections drawn
  std::string encoded;                  ///< the same as a file's bytes
  std::vector<std::string> crops{};     ///< of each detection
  std::vector<std::string> looks{};     ///< of each detection: where its query looked
  std::vector<std::string> failures{};  ///< what of these could not be made, and why
};

/// An item of the feed and what was found in it.
struct FrameResult {
  vit::FeedItem item;  ///< the decoded picture or frame is item.event.image, where options keep it
  std::string error;   ///< why there are no detections, of frames; the feed's own errors are in item.event
  vit::Extent size;    ///< of the picture
  std::vector<TrackedDetection> detections;  ///< best score first
  std::vector<vit::Path> tails;              ///< of each detection's track, see TrackTails; empty without tracking
  Rendering rendering;

  bool is_frame() const { return item.event.kind == vit::VideoEvent::Kind::frame; }
};

/// What the pipeline asks of a model. All are called from several threads at once.
struct DetectSteps {
  /// Extents that a picture of these extents has before the model: pictures of equal ones are computed at once.
  std::function<vit::Extent(vit::Extent)> input_size;
  std::function<vit::PixelBatch(const std::vector<vit::Image>&)> prepare;
  std::function<DetectionLevel(const vit::PixelBatch&)> infer;
  /// Row `b` as detections in a picture of `size`, best first, all of a score above `threshold`.
  std::function<std::vector<Detection>(const DetectionLevel&, int64_t b, vit::Extent size, double threshold)> finish;
};

/// A detector's. The result keeps the detector.
DetectSteps steps_of(const Detector& detector);

struct VideoPipelineOptions {
  double conf = 0.5;                 ///< only scores above it are reported; tracks may keep lower ones
  std::vector<int64_t> classes{};    ///< only these; empty: all
  int64_t max_det = 0;               ///< at most so many per picture, the best; 0: all
  int64_t batch_size = 1;            ///< pictures and frames of files that the model computes at once
  int64_t max_pixels = 100'000'000;  /// of a picture
  bool keep_images = false;          ///< whether later stages want the pixels
  /// A tracker for each video; unset: no tracking. Pictures are not tracked.
  std::function<std::unique_ptr<Tracker>()> make_tracker{};
};

/// Takes everything that `feed` gives through the model, and then through `outputs`: "read" (and decode),
/// "pre-process", "infer", "post-process", "track" (where there is a tracker) come before them. What fails for one
/// picture is in its result. Memory is bounded by a few pictures per thread; the results do not depend on the number of
/// threads. Live sources have no more frames in flight than threads, for what waits grows old. Errors: what `outputs`
/// throw, after everything before it went through them; as FrameFeed::next.
vit::PipelineReport detect_frames(vit::FrameFeed& feed, const DetectSteps& steps, const VideoPipelineOptions& options,
                                  const std::vector<vit::PipelineStage<FrameResult>>& outputs);

}  // namespace detection
