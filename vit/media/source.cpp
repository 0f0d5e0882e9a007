#include "vit/media/source.h"

#include <fnmatch.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <utility>

#include "vit/core/check.h"
#include "vit/media/video.h"

namespace vit {

namespace fs = std::filesystem;

namespace {

std::string lower_extension(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  for (char& letter : extension)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  return extension;
}

bool is_one_of(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool has_glob_characters(const std::string& text) { return text.find_first_of("*?[") != text.npos; }

/// What is still to be reported or looked into, first things first.
struct Pending {
  enum class Kind { kArgument, kListed, kFolder, kItem, kError };
  Kind kind;
  std::string text;  ///< the path, or the item of an error
  std::string error;
};

/// Entries of a folder in order; files that are no pictures are left out.
struct FolderEntries {
  std::vector<std::string> names;
  std::string error;
};

FolderEntries list_folder(const std::string& folder) {
  FolderEntries entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    entries.names.push_back(entry->path().filename().string());
  if (error) entries.error = "folder cannot be read: " + error.message();
  std::sort(entries.names.begin(), entries.names.end());
  return entries;
}

std::string join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : (fs::path(folder) / name).string();
}

std::vector<std::string> split_path(const std::string& path) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t at; (at = path.find('/', begin)) != path.npos; begin = at + 1)
    if (at > begin) parts.push_back(path.substr(begin, at - begin));
  if (begin < path.size()) parts.push_back(path.substr(begin));
  return parts;
}

/// Expands `parts[index...]` below `folder`; `**` stands for any number of folders.
void expand_glob(const std::string& folder, const std::vector<std::string>& parts, size_t index,
                 std::vector<std::string>& found) {
  if (index == parts.size()) {
    std::error_code ignored;
    if (fs::is_regular_file(folder, ignored)) found.push_back(folder);
    return;
  }
  const std::string& part = parts[index];
  if (!has_glob_characters(part)) {
    std::error_code ignored;
    const std::string path = join(folder, part);
    if (fs::exists(path, ignored)) expand_glob(path, parts, index + 1, found);
    return;
  }
  const bool any_depth = part == "**";
  if (any_depth) expand_glob(folder, parts, index + 1, found);
  for (const std::string& name : list_folder(folder.empty() ? "." : folder).names) {
    if (name[0] == '.' && part[0] != '.') continue;  // as shells do
    const std::string path = join(folder, name);
    std::error_code ignored;
    // Links to folders are not followed by `**`: they can lead in circles.
    const bool is_folder = fs::is_directory(path, ignored) && !(any_depth && fs::is_symlink(path, ignored));
    if (any_depth) {
      if (is_folder) expand_glob(path, parts, index, found);
    } else if (fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0 && (is_folder || index + 1 == parts.size())) {
      expand_glob(path, parts, index + 1, found);
    }
  }
}

void trim_line_end(std::string& line) {
  while (!line.empty() && line.back() == '\r') line.pop_back();
}

/// A line of a list that begins with # is a comment, unless a file has that name.
bool is_comment(const std::string& line) {
  std::error_code error;
  return line[0] == '#' && !fs::exists(line, error);
}

}  // namespace

const std::vector<std::string>& image_extensions() {
  static const std::vector<std::string> extensions = {".jpg",  ".jpeg", ".jpe",  ".jfif", ".png", ".bmp", ".dib",
                                                      ".webp", ".tif",  ".tiff", ".pbm",  ".pgm", ".ppm", ".pnm",
                                                      ".jp2",  ".j2k",  ".jpx",  ".ras",  ".sr"};
  return extensions;
}

std::string without_source(const std::string& reason, const std::string& source) {
  const std::string place = source + ": ";
  return reason.starts_with(place) ? reason.substr(place.size()) : reason;
}

bool has_image_extension(const std::string& path) { return is_one_of(image_extensions(), lower_extension(path)); }

struct ImageSource::Impl {
  SourceOptions options;
  std::deque<Pending> pending;
  /// An open list or stdin, read line by line; what it names comes before what is pending.
  std::ifstream list_file;
  std::istream* list = nullptr;
  /// The folder argument that is being walked, and whether it has had a picture.
  std::string folder;
  bool folder_answered = false;

  void push_front(std::vector<Pending> items) {
    pending.insert(pending.begin(), std::make_move_iterator(items.begin()), std::make_move_iterator(items.end()));
  }

  bool next(SourceItem& item);
  bool handle(Pending&& entry, SourceItem& item);
  bool handle_argument(const std::string& argument, SourceItem& item);
  bool take(const std::string& path, SourceItem& item) const;
  void open_folder(const std::string& path);
  bool finish_folder(SourceItem& item);
};

ImageSource::ImageSource(std::vector<std::string> arguments, SourceOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
  for (std::string& argument : arguments) impl_->pending.push_back({Pending::Kind::kArgument, std::move(argument), {}});
}

ImageSource::~ImageSource() = default;

bool ImageSource::next(SourceItem& item) { return impl_->next(item); }

bool ImageSource::Impl::next(SourceItem& item) {
  item = {};
  for (;;) {
    const bool inside = !pending.empty() && pending.front().kind != Pending::Kind::kArgument;
    if (!folder.empty() && !inside && finish_folder(item)) return true;
    if (list && !inside) {
      std::string line;
      if (std::getline(*list, line)) {
        trim_line_end(line);
        if (!line.empty() && !is_comment(line)) pending.push_front({Pending::Kind::kListed, line, {}});
        continue;
      }
      list = nullptr;
      list_file.close();
    }
    if (pending.empty()) return false;
    Pending entry = std::move(pending.front());
    pending.pop_front();
    if (handle(std::move(entry), item)) return true;
  }
}

/// True: `item` is filled.
bool ImageSource::Impl::handle(Pending&& entry, SourceItem& item) {
  switch (entry.kind) {
    case Pending::Kind::kItem:
    case Pending::Kind::kError:
      folder_answered = true;
      if (entry.error.empty()) return take(entry.text, item);
      item = {std::move(entry.text), std::move(entry.error)};
      return true;
    case Pending::Kind::kFolder:
      open_folder(entry.text);
      return false;
    case Pending::Kind::kListed:
    case Pending::Kind::kArgument:
      break;
  }
  return handle_argument(entry.text, item);
}

/// A picture or a video. True: `item` is filled, be it with an error.
bool ImageSource::Impl::take(const std::string& path, SourceItem& item) const {
  const bool video = is_video_source(path);
  item = {path, {}, video};
  if (video && !options.videos) item.error = "video sources are not supported by " + options.verb;
  return true;
}

/// One argument, or one line of a list (which may not name another list).
bool ImageSource::Impl::handle_argument(const std::string& argument, SourceItem& item) {
  std::error_code error;
  const fs::file_status status = fs::status(argument, error);
  const auto refuse = [&](const std::string& reason) {
    item = {argument, reason};
    return true;
  };
  // What exists under this very name is meant, whatever characters are in it.
  if (fs::is_directory(status)) {
    folder = argument;
    folder_answered = false;
    open_folder(argument);
    return false;
  }
  if (fs::exists(status)) return take(argument, item);
  if (argument == "-" || (argument.size() > 1 && argument[0] == '@')) {
    if (list) return refuse("a list of sources may not name another list");
    if (argument == "-") {
      list = options.input ? options.input : &std::cin;
      return false;
    }
    list_file.clear();
    list_file.open(argument.substr(1));
    if (!list_file) return refuse("the list cannot be opened");
    list = &list_file;
    return false;
  }
  if (is_live_source(argument) || (has_video_extension(argument) && !options.videos)) return take(argument, item);
  if (!has_glob_characters(argument)) return refuse("no such file or folder");
  std::vector<std::string> found;
  expand_glob(argument[0] == '/' ? "/" : "", split_path(argument), 0, found);
  if (found.empty()) return refuse("no file matches");
  std::vector<Pending> items;
  for (std::string& path : found) items.push_back({Pending::Kind::kItem, std::move(path), {}});
  push_front(std::move(items));
  return false;
}

/// Puts a folder's pictures and sub-folders in front of all that is pending.
void ImageSource::Impl::open_folder(const std::string& path) {
  FolderEntries entries = list_folder(path);
  std::vector<Pending> items;
  if (!entries.error.empty()) items.push_back({Pending::Kind::kError, path, entries.error});
  for (const std::string& name : entries.names) {
    const std::string full = (fs::path(path) / name).string();
    std::error_code ignored;
    const bool is_folder = fs::is_directory(full, ignored);
    if (is_folder && !fs::is_symlink(full, ignored))  // a linked folder can lead in circles
      items.push_back({Pending::Kind::kFolder, full, {}});
    else if (!is_folder && (has_image_extension(name) || (options.videos && has_video_extension(name))))
      items.push_back({Pending::Kind::kItem, full, {}});
  }
  push_front(std::move(items));
}

/// At the end of a folder argument: true if an error is due because it had no picture.
bool ImageSource::Impl::finish_folder(SourceItem& item) {
  const std::string name = std::exchange(folder, {});
  if (folder_answered) return false;
  item = {name, options.videos ? "no pictures and no videos in folder" : "no images in folder"};
  return true;
}

}  // namespace vit
