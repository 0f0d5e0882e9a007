#include "apps/lists.h"

#include <functional>
#include <map>

#include "apps/common.h"
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

Names model_names() {
  Names names = vit::bundled_models();
  for (const std::string& name : vit::config_names("model")) names.push_back(name);
  return names;
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
      {"datasets", [] { return datasets::dataset_registry().names(); }},
  };
  return all;
}

}  // namespace

std::vector<std::string> list_names() {
  Names names;
  for (const auto& [name, list] : lists()) names.push_back(name);
  return names;
}

std::vector<std::string> listed(const std::string& kind) {
  const auto found = lists().find(kind);
  if (found == lists().end())
    vit::fail_usage("--list: unknown list '", kind, "'", vit::did_you_mean(kind, list_names()),
                    "; known: ", vit::joined(list_names()));
  return found->second();
}

}  // namespace apps
