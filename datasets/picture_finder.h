// Where the pictures are that a file of annotations names: beside it, in the folders that such data sets have.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace datasets {

/// The split that a file's or folder's name has as a word of its own, without a year: "instances_train2017": "train";
/// empty where it has none.
std::string split_in(const std::string& name);

/// ASCII letters in lower case.
std::string lower_case(std::string text);

/// Finds pictures by the names that annotations give them.
class PictureFinder {
 public:
  /// For `file`, the annotations of `split` (empty: of none). `kind`: what the file's name begins with where that says
  /// no more than what kind of annotations it has ("instances_").
  PictureFinder(const std::filesystem::path& file, const std::string& split, const std::string& kind);
  /// Looks there as well, before the usual folders.
  void look_in(const std::filesystem::path& folder);

  /// Where the picture is; where it should be, if it is nowhere.
  std::string find(const std::string& name);

  int64_t missing() const { return missing_; }
  /// Whether the last one that was asked for is there.
  bool last_was_found() const { return found_; }
  std::vector<std::string> folders() const;
  /// The folder in which the last one was that is there.
  const std::filesystem::path& last_folder() const { return folders_[last_]; }

 private:
  bool look_for(const std::filesystem::path& tail);

  std::vector<std::filesystem::path> folders_;
  size_t last_ = 0;
  int64_t missing_ = 0;
  bool found_ = false;
};

}  // namespace datasets
