// Data sets with one file of annotations per split: which files there are, and which one is meant.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace datasets {

/// A file of annotations and the split it is; empty where its name does not say.
struct SplitFile {
  std::string split;
  std::filesystem::path path;
};

/// Those with a split, in the order of reports; all where none has one.
std::vector<SplitFile> in_order_of_splits(const std::vector<SplitFile>& files);

/// The splits of a data set; empty where there is one file without. Errors (usage): two files are one split.
std::vector<std::string> names_of_splits(const std::vector<SplitFile>& files, const std::string& root);

/// The file of the split that is meant (choose_split); there is at least one. Errors (usage): as above, no such split.
const SplitFile& choose_file(const std::vector<SplitFile>& files, const std::string& wanted, const std::string& root);

}  // namespace datasets
