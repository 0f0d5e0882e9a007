#include "vit/core/plugin.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "vit/core/check.h"

namespace vit::detail {

namespace {

/// Where a module may lie: beside libvitkit in lib/vitkit/ (build tree and installation), or, when the library is
/// linked statically into a program in bin/, under the same prefix.
std::vector<std::string> candidates(const PluginRequest& request) {
  if (const char* chosen = std::getenv(request.variable.c_str()); chosen && *chosen) return {chosen};
  Dl_info self{};
  if (!dladdr(reinterpret_cast<void*>(&load_plugin), &self) || !self.dli_fname) return {};
  std::error_code ignored;
  const std::filesystem::path library = std::filesystem::canonical(self.dli_fname, ignored);
  const std::filesystem::path folder = library.parent_path();
  return {folder / "vitkit" / request.file, folder / request.file,
          folder.parent_path() / "lib" / "vitkit" / request.file};
}

}  // namespace

LoadedPlugin load_plugin(const PluginRequest& request) {
  std::string tried;
  for (const std::string& path : candidates(request)) {
    // Never closed: what the modules link does not survive being unloaded while its threads' data are alive.
    void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!module) {
      tried += str("\n  ", dlerror());
      continue;
    }
    const auto version = reinterpret_cast<int (*)()>(dlsym(module, request.version_name.c_str()));
    const auto table = reinterpret_cast<const void* (*)()>(dlsym(module, request.table_name.c_str()));
    if (!version || !table || version() != request.version)
      return {nullptr, str(request.what, ": ", path, " belongs to another version of the toolkit")};
    return {table(), {}};
  }
  return {nullptr, str(request.what, ": the module ", request.file, " cannot be loaded; tried:", tried)};
}

const void* table_of(const LoadedPlugin& plugin) {
  check(plugin.table, plugin.error);
  return plugin.table;
}

}  // namespace vit::detail
