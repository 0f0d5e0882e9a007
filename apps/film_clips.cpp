#include "apps/film_clips.h"

#include <utility>

namespace apps {

std::unique_ptr<vit::ClipFeed> clip_feed(std::vector<std::string> sources, vit::FeedOptions options,
                                         const vit::ClipModel& model) {
  const vit::Extent frame{model.frame_size()[0], model.frame_size()[1]};
  return std::make_unique<vit::ClipFeed>(std::move(sources), std::move(options), model.info().name, model.frames(),
                                         frame);
}

bool FilmClips::next(vit::SourceItem& item) {
  vit::FeedItem fed;
  std::optional<vit::FilmClip> clip;
  if (!feed_->next(fed, clip)) return false;
  item = {.path = fed.source, .error = clip ? std::string() : fed.event.reason};
  if (clip) {
    const std::lock_guard lock(mutex_);
    waiting_[count_] = std::exchange(clip->strip, {});
  }
  clips_.push_back(std::move(clip));
  ++count_;
  return true;
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
