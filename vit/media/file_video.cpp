// Films: read on the thread that asks, frame by frame, to their end.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>

#include "vit/media/capture.h"
#include "vit/media/frame_pace.h"
#include "vit/media/video_feed.h"

namespace vit::detail {

namespace {

namespace fs = std::filesystem;

/// Errors: nothing there, or nothing that can be read from its beginning to its end.
void check_file(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  check(fs::exists(status), "no such file");
  check(!fs::is_directory(status), "it is a folder");
  check(fs::is_regular_file(status), "not a file on a disk: videos are not read from pipes");
  check(fs::file_size(path, error) > 0 || error, "the file is empty");
}

class FileVideo : public VideoFeed {
 public:
  FileVideo(std::string path, const VideoOptions& options) : path_(std::move(path)), options_(options) {}

  bool poll(VideoEvent& event, double /*seconds*/) override {
    event = {};
    event.time_s = last_time_;
    if (finished_ || stopping_) return finish(event, VideoEvent::Kind::end);
    try {
      if (!capture_) open();
      if (!advance()) {
        event.reason = missing();
        return finish(event, event.reason.empty() ? VideoEvent::Kind::end : VideoEvent::Kind::error);
      }
      event.image = frame_.image();
    } catch (const std::exception& error) {
      if (stopping_) return finish(event, VideoEvent::Kind::end);
      event.reason = error.what();
      return finish(event, VideoEvent::Kind::error);
    }
    event.kind = VideoEvent::Kind::frame;
    event.number = count_ - 1;
    event.time_s = last_time_;
    event.captured_s = steady_seconds();
    return true;
  }

  void stop() override { stopping_ = true; }

  VideoInfo info() const override {
    const std::lock_guard lock(mutex_);
    return info_;
  }

 private:
  void open() {
    check_file(path_);
    capture_.emplace(Capture::Request{
        .kind = CaptureKind::kFile, .location = path_, .max_pixels = options_.max_pixels, .interrupted = [this] {
          return stopping_.load();
        }});
    const VitkitCaptureFacts& facts = capture_->facts();
    clock_ = FrameClock(facts.frame_rate);
    const std::lock_guard lock(mutex_);
    info_ = {{facts.height, facts.width}, facts.frame_rate, facts.frames};
  }

  /// The next frame that is wanted; false at the end.
  bool advance() {
    do {
      if (!capture_->next(frame_)) return false;
      last_time_ = clock_.next(frame_.facts());
      end_time_ = last_time_ + std::max(frame_.facts().duration_s, 0.0);
      ++count_;
    } while (!pace_.wants(last_time_));
    return true;
  }

  /// Why the file is not complete; empty when it seems to be. Headers are not exact to the frame: what lacks less than
  /// a second is not missed.
  std::string missing() const {
    const VitkitCaptureFacts& facts = capture_->facts();
    const double rate = facts.frame_rate;
    const double found_s = std::max(end_time_, rate > 0.0 ? static_cast<double>(count_) / rate : 0.0);
    const double promised_s = std::max(facts.duration_s, rate > 0.0 ? static_cast<double>(facts.frames) / rate : 0.0);
    if (promised_s - found_s < 1.0) return {};
    std::string promised = str(promised_s, " s");
    if (facts.frames > 0) promised += str(" (", facts.frames, " frames)");
    return str("it ends after ", found_s, " s (", count_, " frames), but its header promises ", promised,
               ": cut off, or a wrong header");
  }

  bool finish(VideoEvent& event, VideoEvent::Kind kind) {
    event.kind = kind;
    finished_ = true;
    capture_.reset();
    frame_ = {};
    return true;
  }

  const std::string path_;
  const VideoOptions options_;
  std::atomic<bool> stopping_{false};
  bool finished_ = false;
  std::optional<Capture> capture_;
  CapturedFrame frame_;
  FrameClock clock_;
  int64_t count_ = 0;  // frames decoded
  FramePace pace_{options_.stride, options_.every};
  double last_time_ = 0.0, end_time_ = 0.0;
  mutable std::mutex mutex_;
  VideoInfo info_;
};

}  // namespace

std::unique_ptr<VideoFeed> open_file_video(const std::string& path, const VideoOptions& options) {
  return std::make_unique<FileVideo>(path, options);
}

}  // namespace vit::detail
