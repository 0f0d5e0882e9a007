// SOURCE arguments of the command line, behind one interface: image files, folders, globs, lists, paths on stdin, and,
// for who asks for them, videos. They are expanded lazily and in order, so a folder of a million pictures starts at
// once. What cannot be found is an item with an error, not an exception: the other sources are still answered.
#pragma once

#include <cstdint>
#include <istream>
#include <memory>
#include <string>
#include <vector>

namespace vit {

/// File name endings (lower case, with the dot) that folders are searched for: the formats that vit/image decodes.
const std::vector<std::string>& image_extensions();
/// Whether the path ends in one of them, in any case.
bool has_image_extension(const std::string& path);
/// The same for videos.
const std::vector<std::string>& video_extensions();
bool has_video_extension(const std::string& path);
/// How addresses of network streams begin (lower case): "rtsp://", ...
const std::vector<std::string>& stream_schemes();

/// What is wrong with a source, for who says which one it is: without "SOURCE: " in front.
std::string without_source(const std::string& reason, const std::string& source);

struct SourceItem {
  std::string path;    ///< as it is reported: what the user gave, or folder/name
  std::string error;   ///< empty when the item is a file to decode
  bool video = false;  ///< the item is a video (is_video_source) and not a picture
};

struct SourceOptions {
  /// The word for messages about sources that only other verbs take: "classify".
  std::string verb = "this verb";
  /// Where `-` reads paths from, one per line; std::cin when null. Not owned.
  std::istream* input = nullptr;
  /// Videos are items of their own, in folders too; else naming one is an error, and folders are searched for pictures
  /// only.
  bool videos = false;
};

/// Pulls items one by one. Not thread-safe; one consumer.
class ImageSource {
 public:
  /// `arguments`: image file, folder (recursive, sorted by name), glob (`*`, `?`, `[...]`, `**`), `@list.txt` (a path
  /// per line, relative to the working directory; empty lines and lines that begin with # are skipped), `-`.
  explicit ImageSource(std::vector<std::string> arguments, SourceOptions options = {});
  ~ImageSource();
  ImageSource(const ImageSource&) = delete;
  ImageSource& operator=(const ImageSource&) = delete;

  /// The next item; false at the end. Errors: none (they are items).
  bool next(SourceItem& item);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vit
