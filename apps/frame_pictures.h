// Pictures and the frames of films and streams as one feed for answer_pictures (pictures.h).
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "apps/pictures.h"
#include "vit/media/frame_feed.h"

namespace apps {

/// Which moment of which video an answer is of.
struct FramePlace {
  int64_t number = 0;
  double time_s = 0.0;
};

/// What the next answer is about.
struct PictureOrigin {
  std::optional<FramePlace> frame{};     ///< of a film or stream; none: a picture
  std::optional<vit::VideoEvent> gap{};  ///< a live source was away; there is no answer
};

/// The feed: `next` and the answers on one thread, `load` from any.
class FramePictures {
 public:
  FramePictures(std::vector<std::string> sources, vit::FeedOptions feed, vit::DecodeOptions decode);

  /// The next picture, frame, failure or gap (an item with an error, so that it is told in its place).
  bool next(vit::SourceItem& item);
  /// The picture of the item of that number.
  vit::Image load(int64_t number);
  /// What the answer that comes next is of: to be called once for each.
  PictureOrigin take_origin();

  bool has_live() const { return feed_.has_live(); }

 private:
  struct Waiting {
    std::string path;  ///< of a picture to decode
    vit::Image frame;
  };

  vit::FrameFeed feed_;
  vit::DecodeOptions decode_;
  int64_t count_ = 0;
  std::deque<PictureOrigin> origins_;
  std::mutex mutex_;  ///< of what follows
  std::map<int64_t, Waiting> waiting_;
};

}  // namespace apps
