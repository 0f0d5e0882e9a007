// Modules of the toolkit that are loaded at run time, because what they link is slow to load and seldom needed. A
// module exports two C functions: one gives the version of its interface, one the table of its functions.
#pragma once

#include <string>

namespace vit::detail {

struct PluginRequest {
  std::string what;          ///< for messages: "image codecs"
  std::string file;          ///< "libvitkit_codecs.so"
  std::string variable;      ///< the environment variable that names another file
  std::string version_name;  ///< int (*)(): the version of the table
  std::string table_name;    ///< const void* (*)(): the table
  int version = 0;           ///< that is expected
};

struct LoadedPlugin {
  const void* table = nullptr;
  std::string error;  ///< why there is no table
};

/// Loads a module from beside the library (lib/vitkit/ in the build tree and in an installation). It is never unloaded.
/// What fails (not found, does not load, another version) is told with the places that were tried.
LoadedPlugin load_plugin(const PluginRequest& request);

/// The table of a loaded module. Errors: the reason why it was not loaded.
const void* table_of(const LoadedPlugin& plugin);

/// The table of the module that has tables of this type: loaded on the first call, failure is remembered. Thread-safe.
/// Errors: as table_of.
template <class Table>
const Table& plugin_table(const PluginRequest& request) {
  // A static's initialiser runs once, whatever the number of threads; later callers wait for it.
  static const LoadedPlugin loaded = load_plugin(request);
  return *static_cast<const Table*>(table_of(loaded));
}

}  // namespace vit::detail
