#include "detection/class_pairs.h"

#include <algorithm>

#include "datasets/class_mapping.h"
#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/models/labels.h"

namespace detection {

namespace {

std::vector<std::string> all_names(const vit::ClassLabels& labels) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < labels.size(); ++i) names.push_back(labels.name(i));
  return names;
}

/// Nobody gave names, or a library filled in its own: "LABEL_0", "class_0".
bool are_numbers(const vit::ClassLabels& labels) {
  if (labels.source() == vit::LabelSource::numbers) return true;
  for (int64_t i = 0; i < labels.size(); ++i)
    if (labels.name(i) != "LABEL_" + std::to_string(i) && labels.name(i) != "class_" + std::to_string(i)) return false;
  return true;
}

/// Whether the data's numbers of categories are more than a count, and the model has classes of these numbers.
bool ids_fit(const std::vector<int64_t>& ids, int64_t classes) {
  bool counted = true, fit = true;
  for (size_t i = 0; i < ids.size(); ++i) {
    counted = counted && ids[i] == static_cast<int64_t>(i);
    fit = fit && ids[i] >= 0 && ids[i] < classes;
  }
  return fit && !counted;
}

}  // namespace

const char* name_of(PairingRule rule) {
  switch (rule) {
    case PairingRule::name:
      return "name";
    case PairingRule::id:
      return "id";
    case PairingRule::rank:
      return "rank";
  }
  return "";
}

ClassPairs pair_classes(const datasets::BoxDataset& data, const vit::ClassLabels& labels) {
  const std::vector<std::string>& names = data.class_names();
  std::vector<int64_t> model_class = datasets::find_classes(names, labels);
  ClassPairs pairs{.of_model = std::vector<int64_t>(static_cast<size_t>(labels.size()), -1)};
  if (std::all_of(model_class.begin(), model_class.end(), [](int64_t index) { return index < 0; })) {
    if (!are_numbers(labels))
      vit::fail_usage("none of the data's ", names.size(), " classes (", vit::joined(names, 5),
                      ") is one of the model's ", labels.size(), " (", vit::joined(all_names(labels), 5), ")");
    const std::vector<int64_t> ids = data.category_ids();
    pairs.rule = ids_fit(ids, labels.size()) ? PairingRule::id : PairingRule::rank;
    if (static_cast<int64_t>(names.size()) > labels.size())
      vit::fail_usage("the data has ", names.size(), " classes, the model ", labels.size(),
                      ", and these have no names");
    for (size_t i = 0; i < names.size(); ++i)
      model_class[i] = pairs.rule == PairingRule::id ? ids[i] : static_cast<int64_t>(i);
  }
  for (size_t i = 0; i < names.size(); ++i) {
    if (model_class[i] < 0)
      pairs.unknown.push_back(names[i]);
    else
      pairs.of_model[static_cast<size_t>(model_class[i])] = static_cast<int64_t>(i);
  }
  return pairs;
}

}  // namespace detection
