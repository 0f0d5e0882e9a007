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
  bool has_splits = false;           ///< `root` is one split of the given folder, and not that folder itself
  std::vector<std::string> folders;  ///< names of the class folders, sorted by bytes; an empty class counts
  std::vector<Item> items;           ///< by class, then by path
};

/// Lists a dataset. `path` (or "imagefolder:path") holds the class folders itself, or has splits below it (train, val,
/// validation, test): then `split` chooses, "val" also finding validation; where `split` is empty val, validation and
/// test are tried in this order. Hidden folders are skipped; a class folder may be a link, linked folders below it are
/// not entered. Errors (usage): no such folder, no such split (those there are listed), no class folders, no pictures,
/// another format's prefix.
ImageFolder open_image_folder(const std::string& path, const std::string& split = "");

}  // namespace datasets
