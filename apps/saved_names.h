// Files that are made from sources: their names, and what becomes of those that fail.
#pragma once

#include <filesystem>
#include <functional>
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

/// Does one file's work; false, and told to `failed`, where that failed: it costs the others nothing.
bool attempted(const std::function<void()>& work, const std::function<void(const std::string& message)>& failed);

}  // namespace apps
