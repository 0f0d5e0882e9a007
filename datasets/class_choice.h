// Which classes of a data set are used, and under which names.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace datasets {

struct ClassChoice {
  std::map<std::string, std::string> rename{};  ///< own name to the wanted one; several may become one class
  std::vector<std::string> keep{};              ///< wanted names (after renaming), in this order; empty: all
  bool is_empty() const { return rename.empty() && keep.empty(); }
};

/// The set with these classes. Boxes of other classes are left out, their pictures stay; where pictures have classes
/// themselves, pictures of others are left out. Names that the set does not have do no harm: a validation set need not
/// have all.
std::shared_ptr<const Dataset> choose_classes(std::shared_ptr<const Dataset> data, const ClassChoice& choice);

/// Errors (usage): a name of the choice that the set does not have, with the nearest; a name that is wanted twice.
/// `names` are the set's own.
void require_known_classes(const ClassChoice& choice, const std::vector<std::string>& names, const std::string& where);

}  // namespace datasets
