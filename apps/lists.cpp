#include "apps/lists.h"

#include <algorithm>
#include <functional>
#include <map>

#include "apps/common.h"
#include "apps/train_keys.h"
#include "datasets/format.h"
#include "vit/core/check.h"
#include "vit/core/names.h"
#include "vit/image/preprocess.h"
#include "vit/io/home.h"
#include "vit/media/source.h"
#include "vit/models/build.h"
#include "vit/nn/attention.h"

namespace apps {

namespace {

using Names = std::vector<std::string>;
constexpr const char* kDatasets = "datasets";

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

std::vector<ListedName> dataset_formats() {
  std::vector<ListedName> formats;
  for (const std::string& name : datasets::dataset_registry().names())
    formats.push_back({name, datasets::dataset_registry().find(name).summary});
  return formats;
}

/// What can be listed: word -> names.
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
  names.emplace_back(kDatasets);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<ListedName> listed(const std::string& kind) {
  if (kind == kDatasets) return dataset_formats();
  const auto found = lists().find(kind);
  if (found == lists().end())
    vit::fail_usage("--list: unknown list '", kind, "'", vit::did_you_mean(kind, list_names()),
                    "; known: ", vit::joined(list_names()));
  return without_summaries(found->second());
}

}  // namespace apps
