// Class maps: a file that says which name is which class, for data whose own order is not the model's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace datasets {

/// Names by class number. Text files hold one name per line (timm's class map; '#' does not begin a comment, for names
/// may); .yaml, .yml and .json files a list of names, a map from name to number or one from number to name.
/// Errors (usage), with file and line or key: unreadable, no names, an empty name, a name twice, numbers that are not
/// 0 to K - 1 each once.
std::vector<std::string> read_class_map(const std::string& path);

/// The same pictures with class numbers and names of the map, found by name. Where the data set knows its classes by
/// number only ("0", "1", ...) and the map has none of these names, the numbers count in the map; those beyond it stay
/// out of range. A set with boxes stays one. `where` names the map in messages. Errors (usage): a class that has
/// pictures, or boxes, is not in the map.
std::shared_ptr<const Dataset> map_dataset_classes(std::shared_ptr<const Dataset> data, std::vector<std::string> names,
                                                   const std::string& where = "the class map");

}  // namespace datasets
