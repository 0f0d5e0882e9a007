#include "datasets/format.h"

#include <algorithm>

#include "vit/core/check.h"
#include "vit/core/names.h"

namespace datasets {

namespace {

using Names = std::vector<std::string>;

/// Names of one split, the usual one first.
const std::vector<Names>& synonyms() {
  static const std::vector<Names> all = {{"train", "training"}, {"val", "validation", "valid"}, {"test"}};
  return all;
}

/// The names that a wanted split may have, in the order they are tried.
Names candidates(const std::string& wanted) {
  if (wanted.empty()) return {"val", "validation", "valid", "test"};
  Names names = {wanted};
  for (const Names& group : synonyms())
    if (std::find(group.begin(), group.end(), wanted) != group.end())
      for (const std::string& name : group)
        if (name != wanted) names.push_back(name);
  return names;
}

}  // namespace

vit::Registry<DatasetFormat>& dataset_registry() {
  static vit::Registry<DatasetFormat> registry("data set format");
  return registry;
}

const std::vector<std::string>& known_splits() {
  static const Names names = [] {
    Names all;
    for (const Names& group : synonyms()) all.insert(all.end(), group.begin(), group.end());
    return all;
  }();
  return names;
}

std::string choose_split(const std::vector<std::string>& available, const std::string& wanted,
                         const std::string& path) {
  if (available.empty()) return {};
  const Names names = candidates(wanted);
  for (const std::string& name : names)
    if (std::find(available.begin(), available.end(), name) != available.end()) return name;
  vit::fail_usage("data ", path, ": there is no split ", vit::joined(names), "; found: ", vit::joined(available));
}

}  // namespace datasets
