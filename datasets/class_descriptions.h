// Readable names of classes whose names are codes, such as ImageNet's "n01440764".
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace datasets {

/// Descriptions of those classes that have one: from `classes.txt` in the data set's folder or the one above it (a line
/// is a class's name, a blank, and words about it; an empty root has none), else, for WordNet's numbers, from the table
/// of ImageNet-1k. Errors: classes.txt is larger than 16 MB.
std::map<std::string, std::string> class_descriptions(const std::filesystem::path& root,
                                                      const std::vector<std::string>& class_names);

}  // namespace datasets
