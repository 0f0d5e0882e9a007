// Writes boxes as COCO's JSON of instances.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "datasets/box_dataset.h"
#include "vit/image/preprocess.h"

namespace datasets {

/// Collects pictures one by one. Picture and category ids count from 1. What is difficult becomes a crowd, so that no
/// tool demands it.
class CocoWriter {
 public:
  explicit CocoWriter(std::vector<std::string> class_names);

  /// `file_name` is relative to the folder of the JSON file. Errors: a label that is no class.
  void add(const std::string& file_name, vit::Extent size, const std::vector<BoxAnnotation>& boxes);
  /// Whole or not at all. Errors: as AtomicFile.
  void write(const std::filesystem::path& path) const;

 private:
  std::vector<std::string> class_names_;
  std::string images_, annotations_;  // the lists' entries, as text: millions need no tree
  int64_t pictures_ = 0, boxes_ = 0;
};

}  // namespace datasets
