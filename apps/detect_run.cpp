#include "apps/detect_run.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <map>
#include <memory>
#include <sstream>
#include <thread>

#include "apps/detection_files.h"
#include "apps/detection_records.h"
#include "apps/model_facts.h"
#include "apps/output.h"
#include "apps/plural.h"
#include "apps/progress.h"
#include "apps/stage_table.h"
#include "apps/stop.h"
#include "detection/annotate.h"
#include "detection/detector.h"
#include "detection/video_pipeline.h"
#include "vit/core/check.h"
#include "vit/core/file.h"
#include "vit/core/names.h"
#include "vit/core/parallel.h"
#include "vit/core/timer.h"
#include "vit/media/video.h"
#include "vit/models/labels.h"

namespace apps {

namespace {

using detection::FrameResult;
using Kind = vit::VideoEvent::Kind;

/// Windows of --show: one for all pictures, one per video.
class Windows {
 public:
  /// Opens the first one, so that a display that is not there is noticed before the work. Errors: as VideoWindow.
  void open() { first_ = std::make_unique<vit::VideoWindow>("vitkit detect"); }

  void show(const FrameResult& frame) {
    if (closed_) return;
    std::unique_ptr<vit::VideoWindow>& window = windows_[frame.item.stream];
    if (!window) window = first_ ? std::move(first_) : std::make_unique<vit::VideoWindow>(frame.item.source);
    if (frame.item.picture()) last_ = frame.rendering.picture;
    if (!window->show(frame.rendering.picture)) closed_ = true;
  }
  /// A video has ended.
  void close(int64_t stream) {
    if (stream >= 0) windows_.erase(stream);
  }
  /// The user closed one: the work is to end. From any thread.
  bool closed() const { return closed_; }
  /// The last picture stays until the user has seen it.
  void wait() {
    const auto pictures = windows_.find(-1);
    while (pictures != windows_.end() && !closed_ && !stop_requested()) {
      closed_ = !pictures->second->show(last_);
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

 private:
  std::unique_ptr<vit::VideoWindow> first_;                       // until a source has taken it
  std::map<int64_t, std::unique_ptr<vit::VideoWindow>> windows_;  // by stream, -1: pictures
  vit::Image last_;
  std::atomic<bool> closed_ = false;
};

/// The stages after tracking, and what they leave.
class DetectRun {
 public:
  DetectRun(const DetectOptions& options, const CommonOptions& common, const detection::Detector& detector)
      : options_(options),
        common_(common),
        detector_(detector),
        labels_(detector.labels()),
        output_(common),
        files_({.folder = options.save,
                .txt = options.save_txt,
                .crops = options.save_crop,
                .frames = options.save_frames,
                .stride = options.video.vid_stride,
                .attention = options.attention,
                .looks = {options.attention_layer, options.attention_head}},
               detector.labels(), [this](const std::string& message) { fail(message); }),
        progress_(common, "frames", /*prints_results=*/true) {
    if (options.show) windows_.open();
    if (!options.attention.empty()) detection::require_attention(detector.model(), files_.looks());
    if (!options.save_json.empty()) json_ = open_result_file("--save-json", options.save_json);
  }

  bool draws() const { return files_.draws() || options_.show; }
  bool needs_images() const { return draws() || files_.enabled(); }
  /// Whether reading on is of no use: the user closed a window, or what is written can be written no more.
  bool is_over() const { return windows_.closed() || broken_; }

  std::vector<vit::PipelineStage<FrameResult>> stages() {
    std::vector<vit::PipelineStage<FrameResult>> all;
    if (draws()) all.push_back({"draw", vit::StageOrder::any, [this](FrameResult& frame) { draw(frame); }});
    if (!options_.attention.empty())
      all.push_back({"attention", vit::StageOrder::any, [this](FrameResult& frame) { look(frame); }});
    if (files_.draws()) all.push_back({"write", vit::StageOrder::any, [this](FrameResult& frame) { encode(frame); }});
    all.push_back({"write", vit::StageOrder::items, [this](FrameResult& frame) {
                     try {
                       write(frame);
                     } catch (...) {
                       broken_ = true;
                       throw;
                     }
                   }});
    return all;
  }

  /// What is kept however the work ended.
  void finish() {
    files_.finish();
    try {
      if (json_) json_->commit();
    } catch (const std::exception& error) {
      fail(error.what());
    }
    json_.reset();
    output_.finish();
  }

  /// What was done, for people -> exit status.
  int conclude(const vit::PipelineReport& report) {
    clear_progress();
    if (options_.show) windows_.wait();
    if (common_.verbose > 0) print_error(stage_table(report, vit::num_threads()));
    if (stop_requested())
      note(common_, "stopped; {} done, what was found is kept", counted(answered_, "frame is", "frames are"));
    if (answered_ + failed_ == 0 && !stop_requested())
      print_error("vitkit detect: there was no picture and no frame in the sources");
    if (failed_ > 0 && answered_ > 0)
      note(common_, "{}, {}", counted(failed_, "failure"),
           counted(answered_, "picture or frame is fine", "pictures and frames are fine"));
    return failed_ > 0 || (answered_ == 0 && !stop_requested()) ? 1 : 0;
  }

 private:
  static bool has_answer(const FrameResult& frame) { return frame.is_frame() && frame.error.empty(); }

  /// What is made of an answer; when that fails, the answer is still one.
  template <class Work>
  static void render(FrameResult& frame, const Work& work) {
    if (!has_answer(frame)) return;
    try {
      work();
    } catch (const std::exception& error) {
      frame.rendering.failures.push_back(error.what());
    }
  }

  void draw(FrameResult& frame) const {
    render(frame,
           [&] { frame.rendering.picture = annotate(frame.item.event.image, frame.detections, labels_, frame.tails); });
  }

  void look(FrameResult& frame) const {
    render(frame, [&] { files_.encode_attention(frame, detector_); });
  }

  void encode(FrameResult& frame) const {
    render(frame, [&] { files_.encode(frame); });
  }

  /// Errors (usage): it cannot be written.
  void write(FrameResult& frame) {
    count(frame);
    write_detections(output_, frame, labels_);
    write_json(frame);
    for (const std::string& failure : frame.rendering.failures) fail(frame.item.source + ": " + failure);
    files_.write(frame);
    if (!options_.show) return;
    if (has_answer(frame)) windows_.show(frame);
    const Kind kind = frame.item.event.kind;
    if (kind == Kind::end || kind == Kind::error) windows_.close(frame.item.stream);
  }

  /// A file that fails once is given up; the rest of the run is not.
  void write_json(const FrameResult& frame) {
    if (!json_) return;
    const Record record = detection_record(frame, labels_);
    if (record.is_null()) return;
    try {
      json_->write(json_line(record) + "\n");
    } catch (const std::exception& error) {
      fail(error.what());
      json_.reset();
    }
  }

  void fail(const std::string& message) {
    ++failed_;
    print_error("vitkit detect: " + message);
  }

  void count(const FrameResult& frame) {
    if (!failure_of(frame).empty()) ++failed_;
    if (!frame.is_frame()) return;
    const int64_t frames = frame.item.info.frames / options_.video.vid_stride;
    if (options_.sources.size() == 1 && !frame.item.live && frames > 0) progress_.set_total(frames);
    progress_.advance();
    if (frame.error.empty()) ++answered_;
  }

  const DetectOptions& options_;
  const CommonOptions& common_;
  const detection::Detector& detector_;
  const vit::ClassLabels& labels_;
  Output output_;
  std::unique_ptr<vit::AtomicFile> json_;
  DetectionFiles files_;
  Windows windows_;
  Progress progress_;
  int64_t answered_ = 0, failed_ = 0;
  std::atomic<bool> broken_ = false;
};

detection::VideoPipelineOptions pipeline_options(const DetectOptions& options, const vit::ClassLabels& labels) {
  detection::VideoPipelineOptions result;
  result.conf = options.conf;
  result.classes = chosen_classes("--classes", options.classes, labels);
  result.max_det = options.max_det;
  result.batch_size = options.batch_size;
  result.max_pixels = options.max_pixels;
  if (!options.track && options.tracker.empty()) return result;
  const std::string tracker = options.tracker.empty() ? "bytetrack" : options.tracker;
  detection::make_tracker(tracker);  // refuses before any work
  result.make_tracker = [tracker] { return detection::make_tracker(tracker); };
  return result;
}

void check_options(const DetectOptions& options) {
  require_precision(options.precision);
  for (const auto& [given, name] :
       {std::pair(options.save_txt, "--save-txt"), std::pair(options.save_crop, "--save-crop"),
        std::pair(options.save_frames, "--save-frames")})
    if (given && options.save.empty()) vit::fail_usage(name, " needs --save DIR, the folder that it writes to");
  if (!options.save.empty()) require_other_folder(options.save, options.sources);
  if ((options.attention_layer || options.attention_head) && options.attention.empty())
    vit::fail_usage("--attention-layer and --attention-head need --attention DIR, the folder that it writes to");
}

}  // namespace

std::vector<int64_t> chosen_classes(const std::string& option, const std::string& names,
                                    const vit::ClassLabels& labels) {
  std::vector<int64_t> chosen;
  std::istringstream list(names);
  for (std::string name; std::getline(list, name, ',');) {
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    if (name.empty()) continue;
    int64_t number = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    const bool is_number = error == std::errc() && end == name.data() + name.size();
    if (const std::optional<int64_t> index = labels.find(name)) {
      chosen.push_back(*index);
    } else if (is_number && number >= 0 && number < labels.size()) {
      chosen.push_back(number);
    } else {
      std::vector<std::string> known;
      for (int64_t i = 0; i < labels.size(); ++i) known.push_back(labels.name(i));
      vit::fail_usage(option, ": the model knows no class '", name, "'", vit::did_you_mean(name, known), "; it knows ",
                      vit::joined(known, 20));
    }
  }
  return chosen;
}

int detect(const DetectOptions& options, const CommonOptions& common) {
  check_options(options);
  const std::string model = model_or_bundled("detect", options.model, "scenes_detector", common);
  const vit::Timer loading;
  const auto detector = detection::Detector::load(
      model, {.img_size = options.img_size, .seed = common.seed, .post = {.threshold = options.conf}});
  note_model(common, model, detector, loading.milliseconds());
  detection::VideoPipelineOptions pipeline = pipeline_options(options, detector.labels());

  DetectRun run(options, common, detector);
  pipeline.keep_images = run.needs_images();
  stop_on_signals();
  vit::FeedOptions feeding = feed_options("detect", options.video, options.max_pixels, common);
  feeding.stop_requested = [&run] { return stop_requested() || run.is_over(); };
  vit::FrameFeed feed(options.sources, feeding);
  vit::PipelineReport report;
  try {
    report = detect_frames(feed, detection::steps_of(detector), pipeline, run.stages());
  } catch (...) {
    run.finish();
    throw;
  }
  run.finish();
  return run.conclude(report);
}

}  // namespace apps
