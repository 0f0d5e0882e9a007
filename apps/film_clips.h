// Films as one feed of clips for answer_pictures (pictures.h), for models that see several frames at once.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "vit/media/clip_feed.h"
#include "vit/media/source.h"
#include "vit/models/clip_model.h"

namespace apps {

/// The feed of a model's clips. Errors (usage): a source is live.
std::unique_ptr<vit::ClipFeed> clip_feed(std::vector<std::string> sources, vit::FeedOptions options,
                                         const vit::ClipModel& model);

/// `next` and the answers on one thread, `load` from any.
class FilmClips {
 public:
  explicit FilmClips(std::unique_ptr<vit::ClipFeed> feed) : feed_(std::move(feed)) {}

  /// The next film, read to its end, or what is wrong with a source: that it is a picture, too.
  bool next(vit::SourceItem& item);
  /// The strip of the item of that number.
  vit::Image load(int64_t number);
  /// The frames that the answer that comes next is about, without their strip; nothing where there are none: to be
  /// called once for each.
  std::optional<vit::FilmClip> take_clip();

 private:
  std::unique_ptr<vit::ClipFeed> feed_;
  int64_t count_ = 0;
  std::deque<std::optional<vit::FilmClip>> clips_;
  std::mutex mutex_;  ///< of what follows
  std::map<int64_t, vit::Image> waiting_;
};

}  // namespace apps
