#include "vit/models/hugging_face_arguments.h"

namespace vit {

int64_t hugging_face_label_count(const JsonObject& json) {
  if (json.has("id2label")) return static_cast<int64_t>(json.get_object("id2label").keys().size());
  return json.get_int("num_labels", 2, {1, 1 << 24});
}

std::vector<KeyRule> weight_and_bias(const std::string& ours, const std::vector<std::string>& theirs) {
  std::vector<KeyRule> rules;
  for (const std::string kind : {".weight", ".bias"}) {
    KeyRule rule{ours + kind, theirs};
    for (std::string& name : rule.theirs) name += kind;
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace vit
