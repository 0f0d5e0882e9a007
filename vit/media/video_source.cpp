// What is a video: by its address, its ending, or what a file without one begins with.
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "vit/media/source.h"
#include "vit/media/video.h"

namespace vit {

namespace fs = std::filesystem;

namespace {

/// A camera's number; a file of that name is meant where there is one.
bool is_camera(const std::string& source) {
  if (source.empty() || source.size() > 3 || source.find_first_not_of("0123456789") != source.npos) return false;
  std::error_code ignored;
  return !fs::exists(source, ignored);
}

bool is_address(const std::string& source) {
  return std::any_of(stream_schemes().begin(), stream_schemes().end(), [&](const std::string& scheme) {
    return source.size() > scheme.size() &&
           std::equal(scheme.begin(), scheme.end(), source.begin(), [](char known, char given) {
             return known == (given >= 'A' && given <= 'Z' ? given + 32 : given);
           });
  });
}

/// Whether a file begins as MP4 and QuickTime, Matroska and WebM, AVI, Flash, MPEG program and transport streams do.
bool begins_as_video(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;  // a pipe would lose its first bytes
  std::array<char, 189> bytes{};
  std::ifstream(path, std::ios::binary).read(bytes.data(), bytes.size());
  const std::string_view head(bytes.data(), bytes.size());
  const auto has = [&](size_t at, std::string_view mark) { return head.substr(at, mark.size()) == mark; };
  using namespace std::string_view_literals;
  return has(4, "ftyp"sv) || has(0, "\x1A\x45\xDF\xA3"sv) || (has(0, "RIFF"sv) && has(8, "AVI "sv)) ||
         has(0, "FLV\x01"sv) || has(0, "\0\0\x01\xBA"sv) || (head[0] == 'G' && head[188] == 'G');
}

}  // namespace

const std::vector<std::string>& video_extensions() {
  static const std::vector<std::string> extensions = {".mp4",  ".avi", ".mov", ".mkv", ".webm", ".m4v",  ".mpg",
                                                      ".mpeg", ".wmv", ".ts",  ".flv", ".3gp",  ".mjpeg"};
  return extensions;
}

const std::vector<std::string>& stream_schemes() {
  static const std::vector<std::string> schemes = {"rtsp://",  "rtsps://", "rtmp://", "http://",
                                                   "https://", "udp://",   "tcp://"};
  return schemes;
}

bool has_video_extension(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  for (char& letter : extension)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return std::find(video_extensions().begin(), video_extensions().end(), extension) != video_extensions().end();
}

bool is_live_source(const std::string& source) { return is_camera(source) || is_address(source); }

bool is_video_source(const std::string& source) {
  if (is_live_source(source) || has_video_extension(source)) return true;
  return fs::path(source).extension().empty() && begins_as_video(source);
}

}  // namespace vit
