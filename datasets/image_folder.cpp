#include "datasets/image_folder.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "datasets/data_file.h"
#include "datasets/format.h"
#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/media/source.h"

namespace datasets {

namespace fs = std::filesystem;

namespace {

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

void require_folder(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error))
    vit::fail_usage("data ", path, ": ", fs::exists(path, error) ? "it is no folder" : "there is no such folder");
}

/// The folder of the wanted split (with its name), or `root` itself where it has none.
std::pair<fs::path, std::string> choose_root(const fs::path& root, const std::string& split) {
  const std::vector<std::string> names = folder_names(root);
  const std::vector<std::string> splits = image_folder_splits(root.string());
  if (!splits.empty() && std::binary_search(names.begin(), names.end(), split)) return {root / split, split};
  const std::string chosen = choose_split(splits, split, root.string());
  return {chosen.empty() ? root : root / chosen, chosen};
}

/// Adds the pictures below a class folder, sorted. Linked folders below it are not entered: they can lead in circles.
void list_class(const fs::path& dir, int64_t folder, ImageFolder& dataset) {
  std::error_code error;
  std::vector<std::string> pictures, others;
  fs::recursive_directory_iterator entries(dir, error);
  for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    const fs::path& path = entries->path();
    std::error_code ignored;
    if (entries->is_directory(ignored)) continue;  // known from the listing, without a call per file
    if (vit::has_image_extension(path.string()))
      pictures.push_back(path.string());
    else if (!path.filename().string().starts_with("."))
      others.push_back(path.string());
  }
  if (error) vit::fail_usage("data ", dir.string(), ": ", error.message());
  std::sort(pictures.begin(), pictures.end());
  std::sort(others.begin(), others.end());
  for (std::string& path : pictures) dataset.items.push_back({std::move(path), folder});
  for (std::string& path : others) dataset.skipped.push_back(std::move(path));
}

class ImageFolderDataset : public Dataset {
 public:
  ImageFolderDataset(ImageFolder listing, const vit::DecodeOptions& decode)
      : listing_(std::move(listing)), decode_(decode) {}

  int64_t size() const override { return static_cast<int64_t>(listing_.items.size()); }
  const std::vector<std::string>& class_names() const override { return listing_.folders; }
  int64_t label(int64_t index) const override { return item(index).folder; }
  std::string source(int64_t index) const override { return item(index).path; }
  vit::Image load(int64_t index) const override { return vit::load_image(item(index).path, decode_); }
  std::string encoded(int64_t index) const override { return read_picture_file(item(index).path); }
  std::vector<std::string> skipped() const override { return listing_.skipped; }

 private:
  const ImageFolder::Item& item(int64_t index) const { return listing_.items.at(static_cast<size_t>(index)); }

  ImageFolder listing_;
  vit::DecodeOptions decode_;
};

OpenedDataset open_format(const DatasetRequest& request) {
  ImageFolder listing = open_image_folder(request.path, request.split);
  OpenedDataset opened{.root = listing.root, .split = listing.split};
  opened.data = std::make_shared<ImageFolderDataset>(std::move(listing), request.decode);
  return opened;
}

}  // namespace

std::vector<std::string> image_folder_splits(const std::string& path) {
  require_folder(path);
  const std::vector<std::string> names = folder_names(path);
  std::vector<std::string> present, with_classes;
  for (const std::string& name : known_splits()) {
    if (!std::binary_search(names.begin(), names.end(), name)) continue;
    present.push_back(name);
    if (!folder_names(fs::path(path) / name).empty()) with_classes.push_back(name);
  }
  // A class may be called "train", too: it holds pictures, and has other classes beside it.
  return present.size() == names.size() ? present : with_classes;
}

ImageFolder open_image_folder(const std::string& path, const std::string& split) {
  require_folder(path);
  ImageFolder dataset;
  const auto [root, chosen] = choose_root(path, split);
  dataset.root = root.string();
  dataset.split = chosen;
  dataset.folders = folder_names(root);
  if (dataset.folders.empty())
    vit::fail_usage("data ", dataset.root, ": there are no class folders in it; expected CLASS/PICTURE files");
  for (size_t folder = 0; folder < dataset.folders.size(); ++folder)
    list_class(root / dataset.folders[folder], static_cast<int64_t>(folder), dataset);
  if (dataset.items.empty()) vit::fail_usage("data ", dataset.root, ": there is no picture in its class folders");
  return dataset;
}

VITKIT_REGISTER_DATASET("image_folder",
                        DatasetFormat{.summary = "a folder per class, pictures below it; train, val, test above",
                                      .aliases = {"imagefolder", "folder"},
                                      .order = 100,
                                      .recognises =
                                          [](const std::string& path) {
                                            std::error_code error;
                                            return fs::is_directory(path, error);
                                          },
                                      .splits = image_folder_splits,
                                      .open = open_format});

}  // namespace datasets
