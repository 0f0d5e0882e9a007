#include "vit/image/codec_module.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "vit/core/check.h"

namespace vit::detail {

namespace {

constexpr const char* kModuleFile = "libvitkit_codecs.so";

/// Where the module may lie: beside libvitkit in lib/vitkit/ (build tree and installation), or, when the library is
/// linked statically into a program in bin/, under the same prefix.
std::vector<std::string> candidates() {
  if (const char* chosen = std::getenv("VITKIT_CODECS"); chosen && *chosen) return {chosen};
  Dl_info self{};
  check(dladdr(reinterpret_cast<void*>(&codecs), &self) && self.dli_fname,
        "image codecs: cannot tell where the library itself lies");
  std::error_code ignored;
  const std::filesystem::path file = std::filesystem::canonical(self.dli_fname, ignored);
  const std::filesystem::path folder = file.parent_path();
  return {folder / "vitkit" / kModuleFile, folder / kModuleFile, folder.parent_path() / "lib" / "vitkit" / kModuleFile};
}

const VitkitCodecs* load() {
  std::string tried;
  for (const std::string& path : candidates()) {
    // Never closed: OpenCV's libraries do not survive being unloaded while their threads' data are alive.
    void* module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!module) {
      tried += str("\n  ", dlerror());
      continue;
    }
    const auto version = reinterpret_cast<VitkitCodecsVersionFunction>(dlsym(module, kVitkitCodecsVersionName));
    const auto table = reinterpret_cast<VitkitCodecsTableFunction>(dlsym(module, kVitkitCodecsTableName));
    check(version && table && version() == kVitkitCodecsVersion, "image codecs: ", path,
          " belongs to another version of the toolkit");
    return table();
  }
  fail("image codecs: the module ", kModuleFile, " cannot be loaded; tried:", tried);
}

}  // namespace

const VitkitCodecs& codecs() {
  struct Loaded {
    const VitkitCodecs* table = nullptr;
    std::string error;
  };
  // A static's initialiser runs once, whatever the number of threads; later callers wait for it.
  static const Loaded loaded = [] {
    Loaded result;
    try {
      result.table = load();
    } catch (const std::exception& error) {
      result.error = error.what();
    }
    return result;
  }();
  if (!loaded.table) fail(loaded.error);
  return *loaded.table;
}

}  // namespace vit::detail
