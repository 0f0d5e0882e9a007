#include "datasets/split_files.h"

#include <algorithm>

#include "datasets/format.h"
#include "vit/core/check.h"

namespace datasets {

std::vector<SplitFile> in_order_of_splits(const std::vector<SplitFile>& files) {
  std::vector<SplitFile> ordered;
  for (const std::string& split : known_splits())
    for (const SplitFile& file : files)
      if (file.split == split) ordered.push_back(file);
  return ordered.empty() ? files : ordered;
}

std::vector<std::string> names_of_splits(const std::vector<SplitFile>& files, const std::string& root) {
  std::vector<std::string> names;
  for (const SplitFile& file : files) {
    if (file.split.empty() && files.size() == 1) continue;
    const auto other = std::find_if(files.begin(), files.end(),
                                    [&](const SplitFile& f) { return f.split == file.split && f.path != file.path; });
    if (other != files.end())
      vit::fail_usage("data ", root, ": ", other->path.string(), " and ", file.path.string(), " are both ",
                      file.split.empty() ? "files of annotations" : "the split " + file.split,
                      "; name the wanted file instead of the folder");
    names.push_back(file.split);
  }
  return names;
}

const SplitFile& choose_file(const std::vector<SplitFile>& files, const std::string& wanted, const std::string& root) {
  const std::string split = choose_split(names_of_splits(files, root), wanted, root);
  const auto file =
      std::find_if(files.begin(), files.end(), [&](const SplitFile& candidate) { return candidate.split == split; });
  return file == files.end() ? files.front() : *file;
}

}  // namespace datasets
