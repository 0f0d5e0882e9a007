// What a VideoReader asks, whatever is behind it.
#pragma once

#include "vit/media/video.h"

namespace vit::detail {

class VideoFeed {
 public:
  virtual ~VideoFeed() = default;
  /// As VideoReader::poll; seconds < 0: as VideoReader::next.
  virtual bool poll(VideoEvent& event, double seconds) = 0;
  virtual void stop() = 0;
  virtual VideoInfo info() const = 0;
};

/// A file: read on the caller's thread.
std::unique_ptr<VideoFeed> open_file_video(const std::string& path, const VideoOptions& options);
/// A camera or stream: read on a thread of its own.
std::unique_ptr<VideoFeed> open_live_video(const std::string& location, const VideoOptions& options);

}  // namespace vit::detail
