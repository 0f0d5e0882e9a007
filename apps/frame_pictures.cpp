#include "apps/frame_pictures.h"

#include <utility>

namespace apps {

using Kind = vit::VideoEvent::Kind;

FramePictures::FramePictures(std::vector<std::string> sources, vit::FeedOptions feed, vit::DecodeOptions decode)
    : feed_(std::move(sources), std::move(feed)), decode_(decode) {}

bool FramePictures::next(vit::SourceItem& item) {
  vit::FeedItem fed;
  do {
    if (!feed_.next(fed)) return false;
  } while (fed.event.kind == Kind::end || fed.event.kind == Kind::lost);

  item = {.path = fed.source, .error = {}};
  PictureOrigin origin;
  if (fed.event.kind == Kind::frame) {
    const std::lock_guard lock(mutex_);
    waiting_[count_] = {fed.source, fed.event.image};
  } else {
    item.error = fed.event.reason.empty() ? "unknown" : fed.event.reason;
  }
  if (fed.event.kind == Kind::frame && !fed.picture())
    origin.frame = FramePlace{fed.event.number, fed.event.time_s};
  else if (fed.event.kind == Kind::gap)
    origin.gap = std::move(fed.event);
  origins_.push_back(std::move(origin));
  ++count_;
  return true;
}

vit::Image FramePictures::load(int64_t number) {
  Waiting item;
  {
    const std::lock_guard lock(mutex_);
    item = std::move(waiting_.extract(number).mapped());
  }
  return item.frame.defined() ? item.frame : vit::load_image(item.path, decode_);
}

PictureOrigin FramePictures::take_origin() {
  PictureOrigin origin = std::move(origins_.front());
  origins_.pop_front();
  return origin;
}

}  // namespace apps
