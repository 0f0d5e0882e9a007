// Video in: files, cameras and network streams behind one interface that never hangs. What uses FFmpeg (files, streams)
// and OpenCV (cameras, windows) sits in modules that are loaded when the first of them is opened. docs/video.md.
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
/// Whether it is a camera or a network address: it is read by a thread of its own.
bool is_live_source(const std::string& source);

/// Now, on the clock of VideoEvent::captured_s.
double steady_seconds();

struct VideoOptions {
  double timeout = 10.0;     ///< live sources: seconds that opening, and each frame, may take
  int64_t stride = 1;        ///< every so many frames is given, the others are skipped
  double every = 0.0;        ///< of these the first in every interval of so many seconds; 0: all
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
    lost,   ///< a live source has gone away, and is tried again: from, reason; a gap follows, or the end
    gap,    ///< a live source was away: from, to, reason
    error,  ///< the source has failed for good: reason; nothing follows
    end,    ///< nothing follows
  };
  Kind kind = Kind::end;
  Image image;                      ///< RGB
  int64_t number = 0;               ///< of the frame in its source, from 0
  double time_s = 0.0;              ///< of the frame: in the film, or since the live source was opened first
  double captured_s = 0.0;          ///< when it was read: steady_seconds() minus it is the lag
  int64_t dropped = 0;              ///< live: frames that nobody took, since the frame given before
  double from_s = 0.0, to_s = 0.0;  ///< gap: as time_s
  std::string reason;
};

/// One source. One thread at a time calls next() or poll(); a thread inside reads live sources. The destructor returns
/// within a second, whatever the source does.
///
/// A live source that gave no frame yet has `timeout` seconds for the first one: meanwhile it is tried again, then it
/// is an error; at once where another try cannot help (no such page, no video). One that was there and goes away is
/// tried again without end, or max_retries times. A film behind an address (its server says how long it is, or it has a
/// duration) is read from the first frame to the last, whatever keep_all is, and is not begun again.
class VideoReader {
 public:
  /// Nothing is opened yet. Errors (usage): options out of range.
  VideoReader(const std::string& source, const VideoOptions& options = {});
  ~VideoReader();
  VideoReader(const VideoReader&) = delete;
  VideoReader& operator=(const VideoReader&) = delete;

  /// Opens on the first call. Waits until the next frame, or until something is to be told: that a live source is lost
  /// (after the timeout at the latest), then its gap, when it ends or with stop(). Errors: none, they are events.
  VideoEvent next();
  /// As next(), but where a live source has nothing yet it waits `seconds` at most: false, and `event` stays as it was.
  /// For several sources at once.
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
  /// Four letters: avc1, mp4v, MJPG, VP80, VP90, hvc1. Empty: what the file's ending is known for (mp4, mov, mkv, ts:
  /// avc1, or mp4v where there is no encoder; avi, mjpeg: MJPG; webm: VP80).
  std::string codec{};
};

/// Video out, without sound. The file appears under its name when it is finished, playable; the destructor finishes,
/// too. Without a frame there is no file. The same frames make the same bytes.
class VideoWriter {
 public:
  /// Where a side is odd, its last row or column is left out: the codecs take pairs. Errors (usage): an ending that is
  /// not written, a size or frame rate that no video has, no encoder; the folder cannot be written to.
  VideoWriter(const std::string& path, Extent size, const VideoWriterOptions& options = {});
  ~VideoWriter();
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;
  /// A frame of another size is scaled, with bars where its shape differs. Errors: the disk is full; it was finished.
  void write(const Image& frame);
  /// Errors: as write.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A window that shows frames (--show). Toolkits of windows want one thread: all windows share one of their own, and
/// members may be called from any thread, of one window one at a time.
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
