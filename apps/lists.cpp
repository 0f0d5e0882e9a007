#include "apps/lists.h"

#include <algorithm>
#include <functional>
#include <map>

#include "apps/common.h"
#include "apps/train_keys.h"
#include "datasets/corruption.h"
#include "datasets/format.h"
#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/explain/method.h"
#include "vit/image/preprocess.h"
#include "vit/io/home.h"
#include "vit/media/source.h"
#include "vit/models/build.h"
#include "vit/nn/attention.h"
#include "vit/robustness/attack.h"

namespace apps {

namespace {

using Names = std::vector<std::string>;

Names model_names() {
  Names names = vit::bundled_models();
  for (const std::string& name : vit::config_names("model")) names.push_back(name);
  return names;
}

std::vector<ListedName> without_summaries(const Names& names) {
  std::vector<ListedName> listed;
  for (const std::string& name : names) listed.push_back({name});
  return listed;
}

/// Names of a registry whose entries say what they are.
template <class Registry>
std::vector<ListedName> with_summaries(const Registry& registry) {
  std::vector<ListedName> listed;
  for (const std::string& name : registry.names()) listed.push_back({name, registry.find(name).summary});
  return listed;
}

/// The paper's order: registries sort by name.
std::vector<ListedName> corruptions() {
  std::vector<ListedName> listed;
  for (const std::string& name : datasets::corruption_families(/*extra=*/true)) {
    const datasets::CorruptionEntry& entry = datasets::corruption_registry().find(name);
    listed.push_back({name, entry.group + (entry.is_extra ? ", extra: " : ": ") + entry.summary});
  }
  return listed;
}

/// What can be listed with a line about each: word -> names and lines.
const std::map<std::string, std::function<std::vector<ListedName>()>>& described_lists() {
  static const std::map<std::string, std::function<std::vector<ListedName>()>> all = {
      {"datasets", [] { return with_summaries(datasets::dataset_registry()); }},
      {"corruptions", corruptions},
      {"attacks", [] { return with_summaries(vit::attack_registry()); }},
      {"explanations", [] { return with_summaries(vit::method_registry()); }},
  };
  return all;
}

/// What else can be listed: word -> names.
const std::map<std::string, std::function<Names()>>& lists() {
  static const std::map<std::string, std::function<Names()>> all = {
      {"models", model_names},
      {"architectures", [] { return vit::timm_registry().names(); }},
      {"model_types", [] { return vit::hugging_face_registry().names(); }},
      {"families", [] { return vit::model_registry().names(); }},
      {"attentions", [] { return vit::attention_registry().names(); }},
      {"image_processors", [] { return vit::Preprocessor::hugging_face_types(); }},
      {"precisions", [] { return precisions(); }},
      {"formats", [] { return vit::image_extensions(); }},
      {"train_keys",
       [] {
         Names names;
         for (const auto& [group, key] : train_keys()) names.push_back(key.name);
         return names;
       }},
  };
  return all;
}

}  // namespace

std::vector<std::string> list_names() {
  Names names;
  for (const auto& [name, list] : lists()) names.push_back(name);
  for (const auto& [name, list] : described_lists()) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<ListedName> listed(const std::string& kind) {
  if (const auto described = described_lists().find(kind); described != described_lists().end())
    return described->second();
  const auto found = lists().find(kind);
  if (found == lists().end())
    vit::fail_usage("--list: unknown list '", kind, "'", vit::did_you_mean(kind, list_names()),
                    "; known: ", vit::joined(list_names()));
  return without_summaries(found->second());
}

}  // namespace apps
