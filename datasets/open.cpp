#include "datasets/open.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "datasets/class_map.h"
#include "vit/core/check.h"
#include "vit/core/names.h"

namespace datasets {

namespace {

/// A format with its name and the path that it is to read.
struct Found {
  std::string name, path;
  const DatasetFormat* format = nullptr;
};

/// The registered name behind a name or an alias; empty when there is none.
std::string registered_name(const std::string& name) {
  if (dataset_registry().contains(name)) return name;
  for (const std::string& other : dataset_registry().names()) {
    const std::vector<std::string>& aliases = dataset_registry().find(other).aliases;
    if (std::find(aliases.begin(), aliases.end(), name) != aliases.end()) return other;
  }
  return {};
}

/// What stands before the first colon, where it can be the name of a format.
std::string prefix_of(const std::string& spec) {
  const size_t colon = spec.find(':');
  if (colon == std::string::npos || colon == 0) return {};
  const std::string prefix = spec.substr(0, colon);
  const auto is_name = [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; };
  return std::all_of(prefix.begin(), prefix.end(), is_name) ? prefix : std::string();
}

/// The first format, in the order of asking, that recognises the path.
Found recognise(const std::string& path) {
  Found found{.name = {}, .path = path};
  for (const std::string& name : dataset_registry().names()) {
    const DatasetFormat& format = dataset_registry().find(name);
    if (found.format && found.format->order <= format.order) continue;
    if (format.recognises && format.recognises(path)) {
      found.name = name;
      found.format = &format;
    }
  }
  return found;
}

Found find_format(const std::string& spec) {
  if (spec.empty()) vit::fail_usage("data: the path is empty; name a folder, a file or format:path");
  std::error_code error;
  const std::string prefix = prefix_of(spec);
  if (const std::string name = registered_name(prefix); !name.empty())
    return {name, spec.substr(prefix.size() + 1), &dataset_registry().find(name)};
  const bool exists = std::filesystem::exists(spec, error);
  if (!prefix.empty() && !exists) vit::fail_usage("data ", spec, ": ", dataset_registry().unknown(prefix));
  Found found = recognise(spec);
  if (found.format) return found;
  if (!exists) vit::fail_usage("data ", spec, ": there is no such folder or file");
  vit::fail_usage("data ", spec,
                  ": it is no folder and of no known format; archives of folders are to be unpacked, or "
                  "name the format as FORMAT:",
                  spec, " (known: ", vit::joined(dataset_registry().names()), ")");
}

}  // namespace

OpenedDataset open_dataset(const std::string& spec, const OpenOptions& options) {
  const Found found = find_format(spec);
  OpenedDataset opened = found.format->open({.path = found.path, .split = options.split, .decode = options.decode});
  opened.format = found.name;
  if (!options.class_map.empty()) opened.data = map_dataset_classes(opened.data, read_class_map(options.class_map));
  return opened;
}

std::vector<std::string> dataset_splits(const std::string& spec) {
  const Found found = find_format(spec);
  return found.format->splits ? found.format->splits(found.path) : std::vector<std::string>();
}

}  // namespace datasets
