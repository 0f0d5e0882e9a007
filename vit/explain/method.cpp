#include "vit/explain/method.h"

#include "vit/core/check.h"

namespace vit {

const std::vector<std::pair<HeadFusion, std::string>>& enum_names(HeadFusion) {
  static const std::vector<std::pair<HeadFusion, std::string>> names = {
      {HeadFusion::mean, "mean"}, {HeadFusion::min, "min"}, {HeadFusion::max, "max"}};
  return names;
}

Registry<MethodEntry>& method_registry() {
  static Registry<MethodEntry> registry("method of explanation");
  return registry;
}

std::vector<std::string> methods_for(const Subject& subject) {
  std::vector<std::string> names;
  for (const std::string& name : method_registry().names()) {
    const MethodEntry& entry = method_registry().find(name);
    if (!entry.refusal || entry.refusal(subject).empty()) names.push_back(name);
  }
  return names;
}

void check_method(const std::string& method, const Subject& subject, const MethodOptions& options) {
  const MethodEntry& entry = method_registry().find(method);
  if (options.discard_ratio < 0.0 || options.discard_ratio >= 1.0)
    fail_usage("discard_ratio must be at least 0 and below 1, got ", options.discard_ratio);
  const std::string reason = entry.refusal ? entry.refusal(subject) : "";
  if (!reason.empty())
    fail_usage("the method '", method, "' does not apply to the model: ", reason,
               "; those that do: ", joined(methods_for(subject)));
  if (options.head && !entry.takes_head) fail_usage("the method '", method, "' looks at no single head");
  if (!options.layer) return;
  if (!entry.layers) fail_usage("the method '", method, "' looks at no single layer");
  const std::vector<std::string> layers = entry.layers(subject);
  if (*options.layer < 0 || *options.layer >= static_cast<int64_t>(layers.size()))
    fail_usage("there is no layer ", *options.layer, " for the method '", method, "'; the model has ", layers.size(),
               ", counted from 0: ", joined(layers, 16));
}

Explanation explain(const std::string& method, const Subject& subject, const Tensor& pixels,
                    const MethodOptions& options) {
  const MethodEntry& entry = method_registry().find(method);
  check(pixels.rank() == 4 && pixels.size(0) == 1, "explain: expected the pixels of one picture, got ", pixels.shape());
  check_method(method, subject, options);
  return entry.explain(subject, pixels, options);
}

}  // namespace vit
