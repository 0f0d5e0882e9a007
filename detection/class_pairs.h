// Which class of a data set a detector's class is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/box_dataset.h"

namespace vit {
class ClassLabels;
}

namespace detection {

enum class PairingRule {
  name,  ///< classes are named as the model's labels
  id,    ///< the model's classes have no names, and are numbered as the data's categories (COCO's, with gaps)
  rank,  ///< the model's classes have no names: the data's classes, in their order, are its first
};
/// "name", "id", "rank"
const char* name_of(PairingRule rule);

struct ClassPairs {
  PairingRule rule = PairingRule::name;
  std::vector<int64_t> of_model;       ///< the data's class number of each of the model's classes; -1: none
  std::vector<std::string> unknown{};  ///< classes of the data that the model does not know
};

/// Pairs classes by the first rule that fits. A model need not know all the data's classes, nor the data all of the
/// model's. Names compare as in datasets::map_classes. Errors (usage): the model's classes have names, and the data has
/// none of them; more classes than a model without names has; two classes of the data are the same one of the model.
ClassPairs pair_classes(const datasets::BoxDataset& data, const vit::ClassLabels& labels);

}  // namespace detection
