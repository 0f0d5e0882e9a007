// ImageFolder: one folder per class, pictures below it, as torchvision and everybody else reads them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace datasets {

struct ImageFolder {
  struct Item {
    std::string path;
    int64_t folder = 0;  ///< index into `folders`
  };
  std::string root;                  ///< the folder that holds the class folders
  std::string split;                 ///< `root` is this split of the given folder; empty: it is that folder itself
  std::vector<std::string> folders;  ///< names of the class folders, sorted by bytes; an empty class counts
  std::vector<Item> items;           ///< by class, then by path
  std::vector<std::string> skipped;  ///< other files below the class folders, in the same order
};

/// Splits below a folder: folders named as a split that hold class folders, or beside which there is no other folder.
std::vector<std::string> image_folder_splits(const std::string& path);

/// Lists a dataset. `path` holds the class folders itself, or has splits below it (train, val, validation, test): then
/// `split` chooses, as choose_split says; any other folder below it can be named as well. Hidden folders are
/// skipped; a class folder may be a link, linked folders below it are not entered. Errors (usage): no such folder, no
/// such split (those there are listed), no class folders, no pictures.
ImageFolder open_image_folder(const std::string& path, const std::string& split = "");

}  // namespace datasets
