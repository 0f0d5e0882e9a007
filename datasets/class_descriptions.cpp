#include "datasets/class_descriptions.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "vit/core/file.h"
#include "vit/models/labels.h"

namespace datasets {

namespace {

namespace fs = std::filesystem;

std::map<std::string, std::string> read_descriptions(const fs::path& file) {
  constexpr int64_t kMostBytes = int64_t{16} << 20;
  std::istringstream lines(vit::read_file(file, kMostBytes));
  std::map<std::string, std::string> descriptions;
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    const size_t blank = line.find_first_of(" \t");
    if (blank == std::string::npos) continue;
    const size_t words = line.find_first_not_of(" \t", blank);
    if (words != std::string::npos) descriptions[line.substr(0, blank)] = line.substr(words);
  }
  return descriptions;
}

/// "tench" of WordNet's number, where ImageNet-1k has it.
std::optional<std::string> imagenet_description(const std::string& name) {
  const std::optional<int64_t> index = vit::imagenet_index_of_wnid(name);
  if (!index) return std::nullopt;
  static const vit::ClassLabels labels =
      vit::ClassLabels::from_checkpoint(nlohmann::json::object(), 1000, "ImageNet-1k");
  return labels.name(*index);
}

}  // namespace

std::map<std::string, std::string> class_descriptions(const fs::path& root,
                                                      const std::vector<std::string>& class_names) {
  std::map<std::string, std::string> known;
  for (const fs::path& folder : {root, root.parent_path()}) {
    if (folder.empty()) continue;
    std::error_code ignored;
    const fs::path file = folder / "classes.txt";
    if (known.empty() && fs::is_regular_file(file, ignored)) known = read_descriptions(file);
  }
  std::map<std::string, std::string> descriptions;
  for (const std::string& name : class_names) {
    if (const auto found = known.find(name); found != known.end())
      descriptions.insert(*found);
    else if (const auto words = imagenet_description(name))
      descriptions.emplace(name, *words);
  }
  return descriptions;
}

}  // namespace datasets
