#include "apps/film_clips.h"

#include <utility>

#include "vit/core/check.h"

namespace apps {

using Kind = vit::VideoEvent::Kind;

FilmClips::FilmClips(std::vector<std::string> sources, vit::FeedOptions feed, const vit::ClipModel& model)
    : feed_(std::move(sources), std::move(feed)),
      frames_(model.frames()),
      size_{model.frame_size()[0], model.frame_size()[1]},
      wanted_(vit::str("the model ", model.info().name, " wants a film: it sees ", model.frames(), " frames at once")) {
  if (feed_.has_live()) vit::fail_usage(wanted_, ", from the beginning to the end; a live source has no end");
}

bool FilmClips::next(vit::SourceItem& item) {
  vit::FeedItem fed;
  while (feed_.next(fed)) {
    item = {.path = fed.source, .error = {}};
    std::optional<vit::FilmClip> clip;
    if (fed.picture()) {
      item.error = wanted_;
    } else if (fed.event.kind == Kind::frame) {
      if (!reading_) reading_.emplace(frames_, size_);
      reading_->add(fed.event.image, fed.event.number, fed.event.time_s);
      continue;
    } else if (fed.event.kind == Kind::end) {
      if (reading_) clip = std::exchange(reading_, std::nullopt)->clip();
      if (!clip) item.error = "the film has no frame";
    } else {
      reading_.reset();
      item.error = fed.event.reason.empty() ? "unknown" : fed.event.reason;
    }
    if (clip) {
      const std::lock_guard lock(mutex_);
      waiting_[count_] = std::exchange(clip->strip, {});
    }
    clips_.push_back(std::move(clip));
    ++count_;
    return true;
  }
  return false;
}

vit::Image FilmClips::load(int64_t number) {
  const std::lock_guard lock(mutex_);
  return std::move(waiting_.extract(number).mapped());
}

std::optional<vit::FilmClip> FilmClips::take_clip() {
  std::optional<vit::FilmClip> clip = std::move(clips_.front());
  clips_.pop_front();
  return clip;
}

}  // namespace apps
