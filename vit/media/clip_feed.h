// Whole films as clips, out of the SOURCE arguments of a verb: for models that see several frames at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vit/media/clip_film.h"
#include "vit/media/frame_feed.h"

namespace vit {

/// One consumer calls next().
class ClipFeed {
 public:
  /// `model`: who wants clips of so many frames of that size, for messages. Errors (usage): a source is live, and so
  /// has no end.
  ClipFeed(std::vector<std::string> arguments, FeedOptions options, const std::string& model, int64_t frames,
           const Extent& size);

  /// The next film, read to its end (`clip`; the item is its end), or what is wrong with a source: an item that is an
  /// error, as a picture is. False at the end of all.
  bool next(FeedItem& item, std::optional<FilmClip>& clip);

 private:
  FrameFeed feed_;
  std::string wanted_;
  int64_t frames_;
  Extent size_;
  std::optional<EvenFrames> reading_;
};

}  // namespace vit
