#include "vit/media/clip_film.h"

#include <algorithm>

#include "vit/core/check.h"
#include "vit/image/strip.h"
#include "vit/media/source.h"

namespace vit {

namespace {

/// Frames that are kept for each that is wanted.
constexpr int64_t kKeptEach = 16;

}  // namespace

EvenFrames::EvenFrames(int64_t frames, const Extent& size) : frames_(frames), size_(size) {
  check(frames >= 1, "clip: expected at least one frame, got ", frames);
}

void EvenFrames::add(const Image& frame, int64_t number, double time_s) {
  if (seen_++ % step_ != 0) return;
  kept_.push_back({fit_frame(frame, size_), number, time_s});
  if (static_cast<int64_t>(kept_.size()) <= kKeptEach * frames_) return;
  // Every second goes, and from now on half as many come.
  for (size_t i = 0; 2 * i < kept_.size(); ++i) kept_[i] = kept_[2 * i];
  kept_.resize((kept_.size() + 1) / 2);
  step_ *= 2;
}

FilmClip EvenFrames::clip() const {
  check(!kept_.empty(), "clip: the film has no frame");
  FilmClip clip;
  std::vector<Image> frames;
  for (int64_t part = 0; part < frames_; ++part) {
    const int64_t middle = (2 * part + 1) * seen_ / (2 * frames_);
    const auto nearest = std::min((middle + step_ / 2) / step_, static_cast<int64_t>(kept_.size()) - 1);
    const Kept& kept = kept_[static_cast<size_t>(nearest)];
    frames.push_back(kept.image);
    clip.numbers.push_back(kept.number);
    clip.times_s.push_back(kept.time_s);
  }
  clip.strip = make_strip(frames);
  return clip;
}

FilmClip read_film_clip(const std::string& film, int64_t frames, const Extent& size, const VideoOptions& options) {
  if (is_live_source(film)) fail_usage(film, ": the model sees a whole film, which a live source is not");
  if (!is_video_source(film)) fail_usage(film, ": the model wants a film of ", frames, " frames or more");
  EvenFrames even(frames, size);
  VideoReader reader(film, options);
  for (;;) {
    const VideoEvent event = reader.next();
    if (event.kind == VideoEvent::Kind::error) fail(film, ": ", without_source(event.reason, film));
    if (event.kind == VideoEvent::Kind::end) break;
    if (event.kind == VideoEvent::Kind::frame) even.add(event.image, event.number, event.time_s);
  }
  if (even.seen() == 0) fail(film, ": the film has no frame");
  return even.clip();
}

}  // namespace vit
