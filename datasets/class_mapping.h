// Which class of a model a class of the data is, by the data's names of classes: folders, labels of a table or a shard,
// CIFAR's names, kinds of scenes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vit {
class ClassLabels;
}

namespace datasets {

/// How the data's classes were mapped to the model's.
enum class MappingRule {
  wnid,  ///< classes are named by WordNet synset, the model has ImageNet's thousand classes
  name,  ///< classes are named as the model's labels
  rank,  ///< the data's classes, in their order, are the model's 0, 1, 2, ...: as training on such data gives them
};
/// "wnid", "name", "rank"
const char* name_of(MappingRule rule);

struct ClassMapping {
  MappingRule rule = MappingRule::rank;
  std::vector<int64_t> classes;  ///< the model's class of each class of the data
};

/// Maps classes by the first rule that fits; `names` are theirs, in the data's order. Names compare without case, '_'
/// and '-' as blanks; where a label lists synonyms ("tench, Tinca tinca") its first is enough. Errors (usage): more
/// classes than the model has; some names fit to the rule and others do not (they are listed).
ClassMapping map_classes(const std::vector<std::string>& names, const vit::ClassLabels& labels);

/// The model's class of each name, by name as above; -1 where it has none. Errors (usage): two names are one class.
std::vector<int64_t> find_classes(const std::vector<std::string>& names, const vit::ClassLabels& labels);

}  // namespace datasets
