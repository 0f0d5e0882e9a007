// Frames of one film, stream or camera as the modules give them: what VideoReader's two ways of reading (file_video.h,
// live_video.h) stand on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "vit/core/check.h"
#include "vit/image/image.h"
#include "vit/media/video_tables.h"

namespace vit::detail {

enum class CaptureKind { kFile, kStream, kCamera };

/// As is_live_source (video.h) knows them.
CaptureKind capture_kind(const std::string& location);

/// Loads the module that reads this kind, where it is not loaded yet. Its errors are those of Capture's constructor.
void load_module(CaptureKind kind) noexcept;

/// A source that failed.
struct CaptureError : Error {
  CaptureError(const std::string& reason, bool lasts) : Error(reason), lasting(lasts) {}
  bool lasting;  ///< another try cannot help
};

/// A decoded frame. It outlives its capture; any thread may use it.
class CapturedFrame {
 public:
  CapturedFrame() = default;
  CapturedFrame(const VitkitCaptureTable& table, void* frame, const VitkitFrameFacts& facts);

  const VitkitFrameFacts& facts() const { return facts_; }
  explicit operator bool() const { return frame_ != nullptr; }
  /// RGB, upright. Errors: pixels that cannot be converted.
  Image image() const;

 private:
  const VitkitCaptureTable* table_ = nullptr;
  std::shared_ptr<void> frame_;
  VitkitFrameFacts facts_{};
};

/// The times of a film's frames: what they say, where that is later than the frame before; else by the frame rate.
class FrameClock {
 public:
  /// rate: frames per second; 0: unknown, 25 is taken.
  explicit FrameClock(double rate = 0.0) : step_(rate > 0.0 ? 1.0 / rate : 0.04) {}
  /// Seconds since the beginning, of the next frame.
  double next(const VitkitFrameFacts& facts);

 private:
  double step_;
  double last_ = -1.0;
};

/// One thread at a time.
class Capture {
 public:
  struct Request {
    CaptureKind kind = CaptureKind::kFile;
    std::string location;
    int64_t max_pixels = 0;
    std::function<bool()> interrupted;  ///< asked while the source is waited for; true: the call fails
  };
  /// Opens. Errors: CaptureError; the module cannot be loaded.
  explicit Capture(Request request);
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  const VitkitCaptureFacts& facts() const { return facts_; }
  /// False at the end. Errors: CaptureError.
  bool next(CapturedFrame& frame);

 private:
  Request request_;
  const VitkitCaptureTable* table_ = nullptr;
  void* capture_ = nullptr;
  VitkitCaptureFacts facts_{};
};

}  // namespace vit::detail
