// Video in: files, cameras and network streams behind one interface that never hangs. What uses OpenCV's videoio sits
// in a module (vitkit_video) that is loaded when the first video is opened.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "vit/image/image.h"
#include "vit/image/preprocess.h"

namespace vit {

/// Whether a source of the command line is a video: a file's ending (or, where there is none, its first bytes), a
/// camera's number ("0"), rtsp://, rtsps://, rtmp://, http://, https://, udp://, tcp://.
bool is_video_source(const std::string& source);
/// Whether it has no end of its own: cameras and network streams.
bool is_live_source(const std::string& source);

struct VideoOptions {
  double timeout = 10.0;     ///< seconds that opening, and each frame, may take (live sources; files: 60 or more)
  int64_t stride = 1;        ///< every so many frames is given, the others are skipped
  bool keep_all = false;     ///< live sources: every frame in order, in place of the newest
  int64_t buffer = 32;       ///< with keep_all: frames that wait at most; then reading waits
  int64_t max_retries = -1;  ///< reconnections of a live source without a frame in between; -1: without end
  double retry_first = 0.5;  ///< seconds before the first reconnection; doubles, with jitter, up to retry_most
  double retry_most = 30.0;
  uint64_t seed = 0;                 ///< of the jitter
  int64_t max_pixels = 100'000'000;  ///< a frame with more ends the source with an error
};

struct VideoInfo {
  Extent size;              ///< as the header says; frames may differ
  double frame_rate = 0.0;  ///< frames per second; 0: unknown
  int64_t frames = 0;       ///< as the header says, which may lie; 0: unknown
};

/// What a source gives next.
struct VideoEvent {
  enum class Kind {
    frame,
    gap,    ///< a live source was away: from, to, reason
    error,  ///< the source has failed for good: reason; nothing follows
    end,    ///< nothing follows
  };
  Kind kind = Kind::end;
  Image image;                      ///< RGB
  int64_t number = 0;               ///< of the frame in its source, from 0
  double time_s = 0.0;              ///< of the frame: in the file, or since the stream was opened first
  double captured_s = 0.0;          ///< when it was read, on a steady clock: now minus it is the lag
  int64_t dropped = 0;              ///< live: frames that nobody took, since the frame given before
  double from_s = 0.0, to_s = 0.0;  ///< gap: as time_s
  std::string reason;
};

/// One source. One thread calls next(); a thread inside reads live sources. The destructor returns within the timeout,
/// whatever the source does.
class VideoReader {
 public:
  /// Nothing is opened yet. Errors (usage): options out of range.
  VideoReader(const std::string& source, const VideoOptions& options = {});
  ~VideoReader();
  VideoReader(const VideoReader&) = delete;
  VideoReader& operator=(const VideoReader&) = delete;

  /// Opens on the first call. Waits no longer than the timeout (live sources: until the next frame, gap or failure;
  /// a gap is told when it ends, or with `stop`). Errors: none, they are events.
  VideoEvent next();
  /// As next(), but where a live source has nothing yet it waits `seconds` at most: false, and `event` stays as it was.
  /// For several sources at once; only this and next() of one source need one thread at a time.
  bool poll(VideoEvent& event, double seconds);
  /// From any thread: next() returns the end soon.
  void stop();
  /// Known after the first frame.
  VideoInfo info() const;
  const std::string& source() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct VideoWriterOptions {
  double frame_rate = 25.0;
  std::string codec{};  ///< four letters; empty: what the file's ending is known for (mp4: mp4v, avi: MJPG)
};

/// Video out. The file appears under its name when it is finished, playable; the destructor finishes, too.
class VideoWriter {
 public:
  /// Errors: an ending that is not written, the folder cannot be written to, no encoder.
  VideoWriter(const std::string& path, Extent size, const VideoWriterOptions& options = {});
  ~VideoWriter();
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;
  /// A frame of another size is scaled, with bars where its shape differs. Errors: the disk is full.
  void write(const Image& frame);
  /// Errors: as write.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A window that shows frames (--show). Toolkits of windows want one thread: the object has one of its own for them,
/// and its members may be called from any thread, one at a time.
class VideoWindow {
 public:
  /// Errors: there is no display.
  explicit VideoWindow(const std::string& title);
  ~VideoWindow();
  VideoWindow(const VideoWindow&) = delete;
  VideoWindow& operator=(const VideoWindow&) = delete;
  /// Shows a frame; false when the user closed the window or pressed q or Escape.
  bool show(const Image& frame);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vit
