#include "detection/video_pipeline.h"

#include <algorithm>
#include <map>
#include <utility>

#include "detection/annotate.h"
#include "vit/core/check.h"
#include "vit/core/context_pool.h"
#include "vit/core/parallel.h"
#include "vit/image/decode.h"
#include "vit/media/source.h"

namespace detection {

namespace {

using vit::Extent;
using Kind = vit::VideoEvent::Kind;

/// Frames of a group that the model computes at once.
struct Part {
  std::vector<size_t> frames;
  vit::PixelBatch pixels;
  DetectionLevel level;
};

/// What travels through the pipeline: usually one frame, more with a batch size above one.
struct Group {
  std::vector<FrameResult> frames;
  std::vector<Part> parts;
};

/// Does a step for some frames; where it fails, they have the reason in place of a result.
template <class Step>
void attempt(Group& group, const std::vector<size_t>& frames, const Step& step) {
  std::string reason;
  try {
    step();
    return;
  } catch (const std::bad_alloc&) {
    reason = "out of memory";
  } catch (const std::exception& error) {
    reason = error.what();
  }
  for (const size_t f : frames) group.frames[f].error = vit::without_source(reason, group.frames[f].item.source);
}

/// The stages, each of which takes a group further.
class Stages {
 public:
  Stages(vit::FrameFeed& feed, const DetectSteps& steps, const VideoPipelineOptions& options)
      : feed_(feed), steps_(steps), options_(options) {
    // A picture would wait for the next frame of a stream to fill its group.
    if (feed_.has_live()) options_.batch_size = 1;
    if (options_.make_tracker) least_score_ = options_.make_tracker()->least_score();
  }

  std::unique_ptr<Group> read() {
    auto group = std::make_unique<Group>();
    while (static_cast<int64_t>(group->frames.size()) < options_.batch_size) {
      FrameResult frame;
      if (!feed_.next(frame.item)) break;
      group->frames.push_back(std::move(frame));
      if (!group->frames.back().is_frame() || group->frames.back().item.live) break;
    }
    return group->frames.empty() ? nullptr : std::move(group);
  }

  void decode(Group& group) const {
    for (size_t f = 0; f < group.frames.size(); ++f) {
      FrameResult& frame = group.frames[f];
      if (!frame.is_frame()) continue;
      vit::Image& image = frame.item.event.image;
      attempt(group, {f}, [&] {
        if (frame.item.picture()) image = vit::load_image(frame.item.source, {.max_pixels = options_.max_pixels});
        frame.size = {image.height(), image.width()};
      });
    }
  }

  void prepare(Group& group) const {
    std::vector<std::pair<Extent, std::vector<size_t>>> by_size;
    for (size_t f = 0; f < group.frames.size(); ++f) {
      const FrameResult& frame = group.frames[f];
      if (!frame.is_frame() || !frame.error.empty()) continue;
      attempt(group, {f}, [&] {
        const Extent extent = steps_.input_size(frame.size);
        const auto same =
            std::find_if(by_size.begin(), by_size.end(), [&](const auto& entry) { return entry.first == extent; });
        if (same != by_size.end()) return same->second.push_back(f);
        by_size.push_back({extent, {f}});
      });
    }
    for (const auto& entry : by_size) {
      const std::vector<size_t>& frames = entry.second;
      std::vector<vit::Image> images;
      for (const size_t f : frames) images.push_back(group.frames[f].item.event.image);
      attempt(group, frames, [&] { group.parts.push_back({frames, steps_.prepare(images), {}}); });
    }
    if (options_.keep_images) return;
    for (FrameResult& frame : group.frames) frame.item.event.image = {};
  }

  void infer(Group& group) const {
    for (Part& part : group.parts) attempt(group, part.frames, [&] { part.level = steps_.infer(part.pixels); });
  }

  void finish(Group& group) const {
    for (const Part& part : group.parts) {
      for (size_t row = 0; row < part.frames.size(); ++row) {
        FrameResult& frame = group.frames[part.frames[row]];
        if (!frame.error.empty()) continue;
        attempt(group, {part.frames[row]}, [&] {
          const double threshold = frame.item.picture() ? options_.conf : std::min(options_.conf, least_score_);
          take(frame, steps_.finish(part.level, static_cast<int64_t>(row), frame.size, threshold));
        });
      }
    }
    group.parts.clear();
  }

  void track(Group& group) {
    for (size_t f = 0; f < group.frames.size(); ++f) {
      FrameResult& frame = group.frames[f];
      const Kind kind = frame.item.event.kind;
      if (kind == Kind::end || kind == Kind::error) trackers_.erase(frame.item.stream);
      if (kind != Kind::frame || frame.item.picture() || !frame.error.empty()) continue;
      attempt(group, {f}, [&] { follow(frame); });
    }
  }

  /// The best of what is left.
  void cut(Group& group) const {
    for (FrameResult& frame : group.frames) {
      if (options_.max_det == 0 || static_cast<int64_t>(frame.detections.size()) <= options_.max_det) continue;
      frame.detections.resize(static_cast<size_t>(options_.max_det));
      if (!frame.tails.empty()) frame.tails.resize(static_cast<size_t>(options_.max_det));
    }
  }

 private:
  /// A video's tracker, which thinks in pixels of the first frame: tracks outlive a change of resolution.
  struct Following {
    std::unique_ptr<Tracker> tracker;
    TrackTails tails;
    Extent size;
  };

  void take(FrameResult& frame, const std::vector<Detection>& detections) const {
    for (const Detection& found : detections)
      if (options_.classes.empty() ||
          std::find(options_.classes.begin(), options_.classes.end(), found.index) != options_.classes.end())
        frame.detections.push_back({found, -1});
  }

  static void scale(vit::Corners& box, Extent from, Extent to) {
    if (from == to) return;
    const double x = static_cast<double>(to.width) / static_cast<double>(from.width);
    const double y = static_cast<double>(to.height) / static_cast<double>(from.height);
    box = {box[0] * x, box[1] * y, box[2] * x, box[3] * y};
  }

  void follow(FrameResult& frame) {
    Following& video = trackers_[frame.item.stream];
    if (!video.tracker) {
      video.tracker = options_.make_tracker();
      video.size = frame.size;
    }
    std::vector<Detection> detections;
    for (const TrackedDetection& found : frame.detections) {
      detections.push_back(found.detection);
      scale(detections.back().box, frame.size, video.size);
    }
    frame.detections.clear();
    for (TrackedDetection& found : video.tracker->update(detections, frame.item.event.time_s)) {
      if (found.track < 0 && !(found.detection.score > options_.conf)) continue;
      scale(found.detection.box, video.size, frame.size);
      frame.detections.push_back(found);
    }
    frame.tails = video.tails.update(frame.detections);
  }

  vit::FrameFeed& feed_;
  const DetectSteps& steps_;
  VideoPipelineOptions options_;
  double least_score_ = 1.0;  ///< of the tracker; without one, `conf` is the lower
  std::map<int64_t, Following> trackers_;
};

}  // namespace

DetectSteps steps_of(const Detector& detector) {
  const auto contexts = std::make_shared<vit::ContextPool>();
  return {.input_size = [detector](Extent size) { return detector.preprocessor().output_size(size); },
          .prepare = [detector](const std::vector<vit::Image>& images) { return detector.prepare(images); },
          .infer =
              [detector, contexts](const vit::PixelBatch& batch) {
                const vit::ContextPool::Lease context = contexts->take();
                return detector.run(*context, batch);
              },
          .finish =
              [detector](const DetectionLevel& level, int64_t b, Extent size, double threshold) {
                PostprocessOptions options = detector.post();
                options.threshold = threshold;
                options.max_det = 0;  // classes are chosen before the best
                return detector.finish(level, b, size, options);
              }};
}

vit::PipelineReport detect_frames(vit::FrameFeed& feed, const DetectSteps& steps, const VideoPipelineOptions& options,
                                  const std::vector<vit::PipelineStage<FrameResult>>& outputs) {
  vit::check(options.batch_size > 0, "detect: expected a batch size of 1 or more, got ", options.batch_size);
  Stages stages(feed, steps, options);
  using Stage = vit::PipelineStage<Group>;
  using vit::StageOrder;
  std::vector<Stage> all = {{"read", StageOrder::any, [&](Group& group) { stages.decode(group); }},
                            {"pre-process", StageOrder::any, [&](Group& group) { stages.prepare(group); }},
                            {"infer", StageOrder::any, [&](Group& group) { stages.infer(group); }},
                            {"post-process", StageOrder::any, [&](Group& group) { stages.finish(group); }}};
  if (options.make_tracker) all.push_back({"track", StageOrder::items, [&](Group& group) { stages.track(group); }});
  all.push_back({"post-process", StageOrder::any, [&](Group& group) { stages.cut(group); }});
  for (const vit::PipelineStage<FrameResult>& output : outputs)
    all.push_back({output.name, output.order, [&output](Group& group) {
                     for (FrameResult& frame : group.frames) output.work(frame);
                   }});
  const int64_t in_flight = feed.has_live() ? vit::num_threads() : 0;
  return vit::run_pipeline<Group>([&] { return stages.read(); }, all, {.max_items = in_flight});
}

}  // namespace detection
