#include "vit/media/clip_feed.h"

#include <utility>

#include "vit/core/check.h"

namespace vit {

using Kind = VideoEvent::Kind;

ClipFeed::ClipFeed(std::vector<std::string> arguments, FeedOptions options, const std::string& model, int64_t frames,
                   const Extent& size)
    : feed_(std::move(arguments), std::move(options)),
      wanted_(str("the model ", model, " wants a film: it sees ", frames, " frames at once")),
      frames_(frames),
      size_(size) {
  if (feed_.has_live()) fail_usage(wanted_, ", from the beginning to the end; a live source has no end");
}

bool ClipFeed::next(FeedItem& item, std::optional<FilmClip>& clip) {
  clip.reset();
  while (feed_.next(item)) {
    if (item.event.kind == Kind::frame && !item.picture()) {
      if (!reading_) reading_.emplace(frames_, size_);
      reading_->add(item.event.image, item.event.number, item.event.time_s);
      continue;
    }
    if (item.event.kind == Kind::end && reading_) {
      clip = reading_->clip();
      reading_.reset();
      return true;
    }
    if (item.picture())
      item.event.reason = wanted_;
    else if (item.event.kind == Kind::end)
      item.event.reason = "the film has no frame";
    else if (item.event.reason.empty())
      item.event.reason = "unknown";
    item.event.kind = Kind::error;
    reading_.reset();
    return true;
  }
  return false;
}

}  // namespace vit
