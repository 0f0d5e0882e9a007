#include "datasets/image_folder.h"

#include <algorithm>
#include <filesystem>

#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/media/source.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

constexpr const char* kPrefix = "imagefolder:";

/// The path without "imagefolder:". Errors (usage): another format's prefix and no such folder.
std::string without_prefix(const std::string& path) {
  if (path.starts_with(kPrefix)) return path.substr(std::string(kPrefix).size());
  std::error_code error;
  for (const char* other : {"coco:", "voc:", "yolo:", "captions:", "scenes:"})
    if (path.starts_with(other) && !fs::exists(path, error))
      vit::fail_usage("data ", path, ": this version reads folders of classes only (imagefolder:PATH)");
  return path;
}

/// Names of the folders in `dir`, sorted by bytes. Errors (usage): `dir` cannot be listed.
std::vector<std::string> folder_names(const fs::path& dir) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entries(dir, error);
  if (error) vit::fail_usage("data ", dir.string(), ": ", error.message());
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    std::error_code ignored;
    if (!name.starts_with(".") && fs::is_directory(entries->path(), ignored)) names.push_back(name);
  }
  if (error) vit::fail_usage("data ", dir.string(), ": ", error.message());
  std::sort(names.begin(), names.end());
  return names;
}

/// The folder of the wanted split, or `root` itself where it has none.
fs::path choose_split(const fs::path& root, const std::string& split) {
  const std::vector<std::string> names = folder_names(root);
  const auto is_there = [&](const std::string& name) { return std::binary_search(names.begin(), names.end(), name); };
  std::vector<std::string> wanted = {split};
  if (split.empty()) wanted = {"val", "validation", "test"};
  if (split == "val") wanted = {"val", "validation"};
  for (const std::string& name : wanted)
    if (is_there(name)) return root / name;
  std::vector<std::string> splits;
  for (const char* known : {"train", "val", "validation", "test"})
    if (is_there(known)) splits.push_back(known);
  if (!splits.empty())
    vit::fail_usage("data ", root.string(), ": there is no split ", vit::joined(wanted),
                    "; found: ", vit::joined(splits));
  return root;
}

/// Pictures below `dir`, sorted. Linked folders below it are not entered: they can lead in circles.
std::vector<std::string> pictures_below(const fs::path& dir) {
  std::error_code error;
  std::vector<std::string> paths;
  fs::recursive_directory_iterator entries(dir, error);
  for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    const fs::path& path = entries->path();
    std::error_code ignored;
    if (vit::has_image_extension(path.string()) && !fs::is_directory(path, ignored)) paths.push_back(path.string());
  }
  if (error) vit::fail_usage("data ", dir.string(), ": ", error.message());
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

ImageFolder open_image_folder(const std::string& path, const std::string& split) {
  const fs::path given = without_prefix(path);
  std::error_code error;
  if (!fs::is_directory(given, error))
    vit::fail_usage("data ", given.string(), ": ",
                    fs::exists(given, error) ? "it is no folder" : "there is no such folder");
  ImageFolder dataset;
  const fs::path root = choose_split(given, split);
  dataset.root = root.string();
  dataset.has_splits = root != given;
  dataset.folders = folder_names(root);
  if (dataset.folders.empty())
    vit::fail_usage("data ", dataset.root, ": there are no class folders in it; expected CLASS/PICTURE files");
  for (size_t folder = 0; folder < dataset.folders.size(); ++folder)
    for (std::string& picture : pictures_below(root / dataset.folders[folder]))
      dataset.items.push_back({std::move(picture), static_cast<int64_t>(folder)});
  if (dataset.items.empty()) vit::fail_usage("data ", dataset.root, ": there is no picture in its class folders");
  return dataset;
}

}  // namespace datasets
