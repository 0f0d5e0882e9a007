#include <algorithm>
#include <chrono>

#include "vit/core/check.h"
#include "vit/media/video.h"
#include "vit/media/video_feed.h"

namespace vit {

namespace {

void check_options(const std::string& source, const VideoOptions& options) {
  const auto expect = [&](bool holds, const std::string& expected, double got) {
    if (!holds) fail_usage("video ", source, ": expected ", expected, ", got ", got);
  };
  expect(options.timeout > 0.0 && options.timeout <= 86400.0, "a timeout above 0 and up to 86400 seconds",
         options.timeout);
  expect(options.stride >= 1, "a stride of at least 1", static_cast<double>(options.stride));
  expect(options.every >= 0.0 && options.every <= 86400.0, "an interval of 0 to 86400 seconds", options.every);
  expect(options.buffer >= 1, "a buffer of at least 1 frame", static_cast<double>(options.buffer));
  expect(options.max_retries >= -1, "max_retries of -1 or more", static_cast<double>(options.max_retries));
  expect(options.retry_first > 0.0 && options.retry_first <= options.retry_most,
         "retry_first above 0 and up to retry_most", options.retry_first);
  expect(options.retry_most <= 3600.0, "retry_most up to 3600 seconds", options.retry_most);
  expect(options.max_pixels >= 1, "max_pixels of at least 1", static_cast<double>(options.max_pixels));
}

}  // namespace

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct VideoReader::Impl {
  std::string source;
  std::unique_ptr<detail::VideoFeed> feed;
};

VideoReader::VideoReader(const std::string& source, const VideoOptions& options) : impl_(std::make_unique<Impl>()) {
  check_options(source, options);
  impl_->source = source;
  impl_->feed =
      is_live_source(source) ? detail::open_live_video(source, options) : detail::open_file_video(source, options);
}

VideoReader::~VideoReader() = default;

VideoEvent VideoReader::next() {
  VideoEvent event;
  impl_->feed->poll(event, -1.0);
  return event;
}

bool VideoReader::poll(VideoEvent& event, double seconds) { return impl_->feed->poll(event, std::max(seconds, 0.0)); }

void VideoReader::stop() { impl_->feed->stop(); }

VideoInfo VideoReader::info() const { return impl_->feed->info(); }

const std::string& VideoReader::source() const { return impl_->source; }

}  // namespace vit
