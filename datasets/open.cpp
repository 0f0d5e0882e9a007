#include "datasets/open.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "datasets/class_map.h"
#include "datasets/concat.h"
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

bool is_there(const std::string& spec) {
  std::error_code error;
  return !registered_name(prefix_of(spec)).empty() || std::filesystem::exists(spec, error);
}

std::vector<std::string> parts_of(const std::string& spec) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= spec.size();) {
    const size_t end = std::min(spec.find('+', at), spec.size());
    parts.push_back(spec.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

/// Which of several joined sets is not there, for messages.
std::string missing_part(const std::string& spec) {
  const std::vector<std::string> parts = parts_of(spec);
  const auto missing = std::find_if_not(parts.begin(), parts.end(), is_there);
  return parts.size() < 2 || missing == parts.end() ? std::string() : " ('" + *missing + "' of those joined by +)";
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
  if (!exists) vit::fail_usage("data ", spec, ": there is no such folder or file", missing_part(spec));
  vit::fail_usage("data ", spec,
                  ": it is no folder and of no known format; archives of folders are to be unpacked, or "
                  "name the format as FORMAT:",
                  spec, " (known: ", vit::joined(dataset_registry().names()), ")");
}

/// The data sets that a spec joins by '+'; itself where it names one, whose name may hold that sign.
std::vector<std::string> joined_specs(const std::string& spec) {
  std::error_code error;
  if (std::filesystem::exists(spec, error)) return {spec};
  std::vector<std::string> parts = parts_of(spec);
  return std::all_of(parts.begin(), parts.end(), is_there) ? parts : std::vector<std::string>{spec};
}

std::vector<std::string> splits_of(const Found& found) {
  return found.format->splits ? found.format->splits(found.path) : std::vector<std::string>();
}

OpenedDataset open_one(const std::string& spec, const OpenOptions& options) {
  const Found found = find_format(spec);
  OpenedDataset opened = found.format->open({.path = found.path, .split = options.split, .decode = options.decode});
  opened.format = found.name;
  return opened;
}

bool is_training(const std::string& split) { return split == "train" || split == "training"; }

/// Sets without splits are training data where others have splits.
OpenedDataset open_joined(const std::vector<std::string>& specs, const OpenOptions& options) {
  const bool any_splits =
      std::any_of(specs.begin(), specs.end(), [](const auto& spec) { return !splits_of(find_format(spec)).empty(); });
  OpenedDataset all;
  std::vector<std::shared_ptr<const Dataset>> parts;
  for (const std::string& spec : specs) {
    const bool has_splits = !splits_of(find_format(spec)).empty();
    if (any_splits && !has_splits && !is_training(options.split)) continue;
    const OpenedDataset part = open_one(spec, options);
    if (all.split.empty()) all.split = part.split;
    all.root += (all.root.empty() ? "" : "+") + part.root;
    parts.push_back(part.data);
  }
  all.data = concatenate(parts);
  return all;
}

}  // namespace

OpenedDataset open_dataset(const std::string& spec, const OpenOptions& options) {
  const std::vector<std::string> specs = joined_specs(spec);
  OpenedDataset opened = specs.size() > 1 ? open_joined(specs, options) : open_one(spec, options);
  if (!options.class_map.empty()) opened.data = map_dataset_classes(opened.data, read_class_map(options.class_map));
  return opened;
}

bool is_dataset(const std::string& spec) {
  return !registered_name(prefix_of(spec)).empty() || recognise(spec).format != nullptr;
}

std::vector<std::string> dataset_splits(const std::string& spec) {
  std::vector<std::string> names;
  for (const std::string& part : joined_specs(spec))
    for (const std::string& name : splits_of(find_format(part)))
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return names;
}

}  // namespace datasets
