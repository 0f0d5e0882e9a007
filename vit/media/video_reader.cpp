#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "vit/core/check.h"
#include "vit/media/capture.h"
#include "vit/media/video.h"
#include "vit/media/video_feed.h"

namespace vit {

namespace fs = std::filesystem;

namespace {

std::string lower_extension(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(), [](unsigned char c) { return std::tolower(c); });
  return extension;
}

/// Whether a file begins as the containers do that video cameras and editors write.
bool begins_as_video(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  std::array<char, 12> bytes{};
  std::ifstream file(path, std::ios::binary);
  file.read(bytes.data(), bytes.size());
  const std::string_view start(bytes.data(), static_cast<size_t>(file.gcount()));
  const bool mp4 = start.size() >= 8 && start.substr(4, 4) == "ftyp" && start.substr(8, 4) != "avif" &&
                   start.substr(8, 4) != "heic" && start.substr(8, 4) != "mif1";
  const bool avi = start.starts_with("RIFF") && start.size() == 12 && start.substr(8) == "AVI ";
  return mp4 || avi || start.starts_with("\x1a\x45\xdf\xa3") || start.starts_with("FLV\x01") ||
         start.starts_with(std::string_view("\0\0\1\xba", 4));
}

void check_options(const std::string& source, const VideoOptions& options) {
  const auto expect = [&](bool holds, const std::string& expected, double got) {
    if (!holds) fail_usage("video ", source, ": expected ", expected, ", got ", got);
  };
  expect(options.timeout > 0.0 && options.timeout <= 86400.0, "a timeout above 0 and up to 86400 seconds", options.timeout);
  expect(options.stride >= 1, "a stride of at least 1", static_cast<double>(options.stride));
  expect(options.buffer >= 1, "a buffer of at least 1 frame", static_cast<double>(options.buffer));
  expect(options.max_retries >= -1, "max_retries of -1 or more", static_cast<double>(options.max_retries));
  expect(options.retry_first > 0.0 && options.retry_first <= options.retry_most,
         "retry_first above 0 and up to retry_most", options.retry_first);
  expect(options.retry_most <= 3600.0, "retry_most up to 3600 seconds", options.retry_most);
  expect(options.max_pixels >= 1, "max_pixels of at least 1", static_cast<double>(options.max_pixels));
}

}  // namespace

const std::vector<std::string>& video_extensions() {
  static const std::vector<std::string> extensions = {".mp4", ".avi",  ".mov",  ".mkv", ".webm", ".m4v",
                                                      ".mpg", ".mpeg", ".wmv",  ".ts",  ".m2ts", ".mts",
                                                      ".flv", ".3gp",  ".mjpeg", ".ogv"};
  return extensions;
}

bool has_video_extension(const std::string& path) {
  const std::vector<std::string>& known = video_extensions();
  return std::find(known.begin(), known.end(), lower_extension(path)) != known.end();
}

bool is_video_source(const std::string& source) {
  if (detail::capture_kind(source) != detail::CaptureKind::kFile) return !source.starts_with("file://");
  return has_video_extension(source) || (lower_extension(source).empty() && begins_as_video(source));
}

bool is_live_source(const std::string& source) { return detail::capture_kind(source) != detail::CaptureKind::kFile; }

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
