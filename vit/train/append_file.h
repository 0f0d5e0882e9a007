// A file that grows by whole records: logs that must be readable while, and after, a run writes them.
#pragma once

#include <filesystem>
#include <string_view>

namespace vit {

/// Not thread-safe. A record is handed to the system at once and in one piece; nothing is buffered here.
class AppendFile {
 public:
  /// Opens for appending; creates the file, not its folder. With `exclusive` it must not exist.
  /// Errors: it cannot be opened, naming the path and the reason.
  explicit AppendFile(const std::filesystem::path& path, bool exclusive = false);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  /// Errors: disk full and the like; the file is then as it was before the record.
  void append(std::string_view record);
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace vit
