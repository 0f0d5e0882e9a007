// Names of files that are made from sources.
#pragma once

#include <filesystem>
#include <set>
#include <string>

namespace apps {

/// The source's own name, and where it was taken, name_2, name_3, ...
class SavedNames {
 public:
  /// "photos/a.jpg" -> "a"; "rtsp://host:554/live?x=1" -> "host_554_live"; camera "0" -> "camera0". Each time another.
  std::string take(const std::string& source);

 private:
  std::set<std::string> taken_;
};

/// Letters that every file system takes; `otherwise` where none are left.
std::string as_file_name(const std::string& text, const std::string& otherwise);

/// With those above it. Errors (usage): it cannot be made.
void make_folder(const std::filesystem::path& folder);

}  // namespace apps
