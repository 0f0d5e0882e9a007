#include "detection/checkpoint_names.h"

#include <algorithm>

#include "vit/core/check.h"

namespace detection {

vit::KeyRule stacked_projections(const std::string& ours, const std::string& prefix) {
  for (const char* kind : {"weight", "bias"}) {
    const std::string packed = vit::str("self_attn.in_proj_", kind);
    if (!ours.ends_with(packed)) continue;
    const std::string head = prefix + ours.substr(0, ours.size() - packed.size());
    vit::KeyRule rule{ours, {}};
    for (const char* part : {"q", "k", "v"}) rule.theirs.push_back(vit::str(head, "self_attn.", part, "_proj.", kind));
    return rule;
  }
  return {ours, {prefix + ours}};
}

vit::KeyRule first_of_copies(const std::string& ours, const std::vector<std::string>& names,
                             const vit::Weights* weights, std::vector<std::string>& ignored) {
  auto found = names.begin();
  if (weights) {
    const auto there =
        std::find_if(names.begin(), names.end(), [&](const std::string& name) { return weights->contains(name); });
    if (there != names.end()) found = there;
  }
  for (const std::string& name : names)
    if (name != *found) ignored.push_back(name);
  return {ours, {*found}};
}

}  // namespace detection
