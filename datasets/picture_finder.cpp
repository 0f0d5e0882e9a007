#include "datasets/picture_finder.h"

#include <algorithm>
#include <cctype>
#include <system_error>

#include "datasets/format.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

/// Folders whose name says that there are pictures in them, with more to it: images128, Flicker8k_Dataset.
std::vector<fs::path> picture_folders(const fs::path& dir) {
  std::vector<fs::path> found;
  std::error_code error;
  fs::directory_iterator entries(dir, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = lower_case(entries->path().filename().string());
    std::error_code ignored;
    if ((name.starts_with("image") || name.starts_with("flick")) && entries->is_directory(ignored))
      found.push_back(entries->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string split_in(const std::string& name) {
  std::string word;
  const auto split_of_word = [&] {
    while (!word.empty() && std::isdigit(static_cast<unsigned char>(word.back()))) word.pop_back();
    return std::find(known_splits().begin(), known_splits().end(), word) == known_splits().end() ? std::string() : word;
  };
  for (const char c : lower_case(name) + ".") {
    if (std::isalnum(static_cast<unsigned char>(c))) {
      word += c;
      continue;
    }
    if (std::string split = split_of_word(); !split.empty()) return split;
    word.clear();
  }
  return {};
}

PictureFinder::PictureFinder(const fs::path& file, const std::string& split, const std::string& kind) {
  const fs::path dir = file.parent_path(), above = dir.parent_path();
  std::string stem = file.stem().string();
  if (stem.starts_with(kind)) stem = stem.substr(kind.size());
  for (const fs::path& base : {dir, above}) {
    for (const std::string& name : {stem, split}) {
      if (name.empty()) continue;
      folders_.push_back(base / name);
      folders_.push_back(base / "images" / name);
    }
    for (const char* name : {"images", "JPEGImages", "data", "imgs", ""}) folders_.push_back(base / name);
  }
  for (const fs::path& folder : picture_folders(dir.empty() ? fs::path(".") : dir)) folders_.push_back(folder);
}

void PictureFinder::look_in(const fs::path& folder) { folders_.insert(folders_.begin(), folder); }

bool PictureFinder::look_for(const fs::path& tail) {
  // Most lie where the last one did.
  if (is_file(folders_[last_] / tail)) return true;
  for (size_t i = 0; i < folders_.size(); ++i) {
    if (!is_file(folders_[i] / tail)) continue;
    last_ = i;
    return true;
  }
  return false;
}

std::string PictureFinder::find(const std::string& name) {
  const fs::path path(name);
  found_ = true;
  if (path.is_absolute() && is_file(path)) return name;
  const fs::path relative = path.is_absolute() ? path.filename() : path;
  for (const fs::path& tail : {relative, relative.filename()})
    if (look_for(tail)) return (folders_[last_] / tail).string();
  found_ = false;
  ++missing_;
  return (folders_[last_] / relative).string();
}

std::vector<std::string> PictureFinder::folders() const {
  std::vector<std::string> names;
  for (const fs::path& folder : folders_) names.push_back(folder.string());
  return names;
}

}  // namespace datasets
