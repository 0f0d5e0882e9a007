// Films as one feed of clips for answer_pictures (pictures.h), for models that see several frames at once.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "vit/media/clip_film.h"
#include "vit/media/frame_feed.h"
#include "vit/media/source.h"
#include "vit/models/clip_model.h"

namespace apps {

/// The feed: `next` and the answers on one thread, `load` from any.
class FilmClips {
 public:
  /// Errors (usage): a source is live, and so has no end.
  FilmClips(std::vector<std::string> sources, vit::FeedOptions feed, const vit::ClipModel& model);

  /// The next film, read to its end, or what is wrong with a source: that it is a picture, too.
  bool next(vit::SourceItem& item);
  /// The strip of the item of that number.
  vit::Image load(int64_t number);
  /// The frames that the answer that comes next is about, without their strip; nothing where there are none: to be
  /// called once for each.
  std::optional<vit::FilmClip> take_clip();

 private:
  vit::FrameFeed feed_;
  int64_t frames_;
  vit::Extent size_;
  std::string wanted_;  ///< what the model wants, for those who give it something else
  int64_t count_ = 0;
  std::deque<std::optional<vit::FilmClip>> clips_;
  std::optional<vit::EvenFrames> reading_;
  std::mutex mutex_;  ///< of what follows
  std::map<int64_t, vit::Image> waiting_;
};

}  // namespace apps
