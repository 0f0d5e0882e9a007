// FrameFeed: all SOURCE arguments of a verb as one sequence of pictures and frames. Pictures and video files come one
// after the other, in the order in which they were given; live sources, and what a `.streams` file lists, run at the
// same time beside them and take turns. A source that cannot be read is an item, and the others go on.
#pragma once

#include <cstdint>
#include <functional>
#include <istream>
#include <memory>
#include <string>
#include <vector>

#include "vit/media/video.h"

namespace vit {

/// What a feed gives next.
struct FeedItem {
  std::string source;   ///< as it is reported: what the user gave, or folder/name
  int64_t stream = -1;  ///< which video it is of: from 0, in the order in which they were opened; -1: a picture
  bool live = false;
  /// A picture is a frame without `image`, which is for the consumer to decode from `source`; what cannot be found is
  /// an error.
  VideoEvent event;
  VideoInfo info;  ///< of the video; frame items only
  bool picture() const { return stream < 0 && event.kind == VideoEvent::Kind::frame; }
};

/// What a feed needs of a video: VideoReader's members, or a test's own.
class FrameStream {
 public:
  virtual ~FrameStream() = default;
  /// As VideoReader.
  virtual bool poll(VideoEvent& event, double seconds) = 0;
  virtual void stop() = 0;
  virtual VideoInfo info() const = 0;
};

struct FeedOptions {
  std::string verb = "this verb";  ///< for messages
  VideoOptions video;              ///< of every video
  std::istream* input = nullptr;   ///< where `-` reads paths from; std::cin when null. Not owned.
  /// Asked often: true ends the feed soon, with what the sources still have to say (gaps, no frames).
  std::function<bool()> stop_requested{};
  /// Told at once when a live source is lost, which is an item, too: items may wait for what is before them.
  std::function<void(const FeedItem& lost)> on_lost{};
  /// How a video is opened; unset: VideoReader.
  std::function<std::unique_ptr<FrameStream>(const std::string& source, const VideoOptions& options)> open{};
};

/// One consumer calls next().
class FrameFeed {
 public:
  /// `arguments`: as ImageSource's, video files, cameras, addresses, and names of `.streams` files: a source per line,
  /// empty lines and lines that begin with # are skipped. Errors: none.
  explicit FrameFeed(std::vector<std::string> arguments, FeedOptions options = {});
  ~FrameFeed();
  FrameFeed(const FrameFeed&) = delete;
  FrameFeed& operator=(const FrameFeed&) = delete;

  /// The next item, waiting for live sources where there is nothing else; false at the end of all. The end of a video
  /// is an item, so that what was kept for it can be finished. Errors: as VideoReader's constructor; what is wrong with
  /// a source is an item.
  bool next(FeedItem& item);
  /// Whether an argument, or a line of a `.streams` file, is live. Lists are not read ahead.
  bool has_live() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vit
