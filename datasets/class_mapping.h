// Which class of a model a class of the data (a folder of pictures, a label) is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vit {
class ClassLabels;
}

namespace datasets {

/// How folders were mapped to classes.
enum class MappingRule {
  wnid,  ///< folders are named by WordNet synset, the model has ImageNet's thousand classes
  name,  ///< folders are named as the model's labels
  rank,  ///< the folders, sorted, are the classes 0, 1, 2, ...: as training on such folders does
};
/// "wnid", "name", "rank"
const char* name_of(MappingRule rule);

struct ClassMapping {
  MappingRule rule = MappingRule::rank;
  std::vector<int64_t> classes;  ///< the model's class of each folder
};

/// Maps folders (sorted) by the first rule that fits. Names compare without case, '_' and '-' as blanks; where a label
/// lists synonyms ("tench, Tinca tinca") its first is enough.
/// Errors (usage): more folders than classes; some folders fit to the rule and others do not (they are named).
ClassMapping map_classes(const std::vector<std::string>& folders, const vit::ClassLabels& labels);

}  // namespace datasets
