// A video that a test writes down: what it gives, one event after the other.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "vit/media/frame_feed.h"

namespace vit::test {

/// What to give next; false: nothing yet.
using NextEvent = std::function<bool(VideoEvent&)>;

class FakeStream : public FrameStream {
 public:
  explicit FakeStream(NextEvent next, VideoInfo info = {}) : next_(std::move(next)), info_(info) {}
  bool poll(VideoEvent& event, double) override {
    event = {};
    return stopped_ || next_(event);
  }
  void stop() override { stopped_ = true; }
  VideoInfo info() const override { return info_; }

 private:
  NextEvent next_;
  VideoInfo info_;
  bool stopped_ = false;
};

inline VideoEvent frame_event(int64_t number, const Image& image, double frame_rate = 25.0) {
  VideoEvent event;
  event.kind = VideoEvent::Kind::frame;
  event.image = image;
  event.number = number;
  event.time_s = static_cast<double>(number) / frame_rate;
  return event;
}

/// `count` frames that `draw` makes, then `last` (an end or an error).
inline NextEvent film(int64_t count, std::function<Image(int64_t)> draw, VideoEvent last = {}) {
  return [count, draw = std::move(draw), last = std::move(last), next = int64_t{0}](VideoEvent& event) mutable {
    event = next < count ? frame_event(next, draw(next)) : last;
    ++next;
    return true;
  };
}

}  // namespace vit::test
