#include "apps/verbs.h"

#include <algorithm>

#include "vit/core/check.h"
#include "vit/core/names.h"

namespace apps {

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = {
      {"classify", "what is in these pictures", add_classify},
      {"detect", "what is where in pictures, films and streams", add_detect},
      {"caption", "say what pictures, films and streams show", add_caption},
      {"explain", "show what an answer rests on, and how far to believe that", add_explain},
      {"train", "train or fine-tune a model from a YAML configuration", add_train},
      {"ablate", "train a model with each of several parts, and compare", add_ablate},
      {"evaluate", "accuracy of a model on a labelled dataset", add_evaluate},
      {"robustness", "how easily a classifier is fooled", add_robustness},
      {"verify", "compare a model with its original's outputs", add_verify},
      {"benchmark", "time a model beside the processor's peak", add_benchmark},
      {"doctor", "examine a dataset before training on it", add_doctor},
      {"scenes", "write generated, labelled pictures", add_scenes},
      {"export", "store a checkpoint's weights in half the space", add_export},
      {"info", "a model's parts, or what this build knows", add_info},
  };
  return all;
}

void require_verb(const std::string& name) {
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) names.push_back(verb.name);
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  vit::fail_usage("unknown verb '", name, "'", vit::did_you_mean(name, names), "; available: ", vit::joined(names));
}

}  // namespace apps
