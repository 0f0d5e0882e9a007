#include "vit/io/home.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "vit/core/check.h"

namespace vit {

namespace fs = std::filesystem;

namespace {

// What makes a folder the toolkit's home.
constexpr const char* kMarker = "configs/model";
// A build tree lies a few levels inside the sources (build/release/apps); farther up is somebody else's folder.
constexpr int kMaxLevelsUp = 5;

fs::path executable_dir() {
  std::error_code error;
  const fs::path executable = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path() : executable.parent_path();
}

/// Folder of the file that holds this function: libvitkit, when another program links it.
fs::path library_dir() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&home_dir), &info) == 0 || !info.dli_fname) return {};
  std::error_code error;
  const fs::path library = fs::canonical(info.dli_fname, error);
  return error ? fs::path() : library.parent_path();
}

bool is_home(const fs::path& folder) {
  std::error_code error;
  return fs::is_directory(folder / kMarker, error);
}

/// What `name_of` makes of each entry of a folder, without the empty ones, sorted.
template <class NameOf>
std::vector<std::string> sorted_names(const fs::path& folder, const NameOf& name_of) {
  std::vector<std::string> names;
  if (folder.empty()) return names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (std::string name = name_of(entry->path()); !name.empty()) names.push_back(std::move(name));
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

fs::path find_home_from(const fs::path& start) {
  if (start.empty()) return {};
  fs::path folder = start;
  for (int level = 0; level <= kMaxLevelsUp; ++level, folder = folder.parent_path()) {
    // The library may lie deeper than prefix/lib (multi-arch folders), so share/ is looked for at each level.
    if (is_home(folder / "share" / "vitkit")) return folder / "share" / "vitkit";
    if (is_home(folder)) return folder;
    if (folder == folder.parent_path()) break;
  }
  return {};
}

fs::path home_dir() {
  if (const char* home = std::getenv("VITKIT_HOME"); home && *home) {
    std::error_code error;
    if (!fs::is_directory(home, error)) fail_usage("VITKIT_HOME: ", home, " is not a folder");
    return home;
  }
  for (const fs::path& start : {executable_dir(), library_dir()})
    if (fs::path home = find_home_from(start); !home.empty()) return home;
  fail_usage("the toolkit's configs/ and models/ were not found from ", executable_dir().string(), " nor from ",
             library_dir().string(), "; set VITKIT_HOME to the folder that holds them");
}

fs::path find_in_home(const fs::path& relative) {
  try {
    const fs::path path = home_dir() / relative;
    std::error_code error;
    return fs::exists(path, error) ? path : fs::path();
  } catch (const Error&) {
    return {};  // no home: nothing is in it
  }
}

std::vector<std::string> config_names(const std::string& folder) {
  return sorted_names(find_in_home(fs::path("configs") / folder), [](const fs::path& path) {
    return path.extension() == ".yaml" ? path.stem().string() : std::string();
  });
}

std::vector<std::string> bundled_models() {
  return sorted_names(find_in_home("models"), [](const fs::path& path) {
    std::error_code error;
    return fs::exists(path / "config.json", error) ? path.filename().string() : std::string();
  });
}

}  // namespace vit
