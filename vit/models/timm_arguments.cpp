#include "vit/models/timm_arguments.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "vit/core/check.h"
#include "vit/core/names.h"

namespace vit {

nlohmann::json timm_arguments(const JsonObject& file, nlohmann::json entry) {
  nlohmann::json& args = entry;
  // Files that old versions wrote have the entries of pretrained_cfg at the top level.
  const JsonObject pretrained = file.has("pretrained_cfg") ? file.get_object("pretrained_cfg") : file;
  const JsonObject model_args = file.get_object("model_args");
  // timm's load order: the constructor's arguments win, then the architecture's, then what was recorded at the top
  // level and in pretrained_cfg.
  for (const char* key : {"num_classes", "global_pool"}) {
    if (args.contains(key)) continue;
    if (file.has(key))
      args[key] = *file.find(key);
    else if (pretrained.has(key))
      args[key] = *pretrained.find(key);
  }
  const std::vector<int64_t> input = pretrained.get_ints("input_size", {}, {1, 1 << 16});
  if (input.size() == 3) {
    if (!args.contains("in_chans")) args["in_chans"] = input[0];
    // The table's img_size is the architecture's default configuration, which the checkpoint's own replaces.
    const bool fixed =
        pretrained.get_bool("fixed_input_size", false) && !model_args.get_bool("dynamic_img_size", false);
    if (fixed) args["img_size"] = {input[1], input[2]};
  } else if (!input.empty()) {
    pretrained.refuse("input_size", "[channels, height, width]");
  }
  // A null overrides as well: timm passes it on as None, the default.
  for (const std::string& key : model_args.keys()) args[key] = model_args.raw().at(key);
  return entry;
}

void check_timm_arguments(const JsonObject& args, const std::set<std::string>& known,
                          const std::set<std::string>& without_effect) {
  const std::vector<std::string> names(known.begin(), known.end());
  for (const std::string& key : args.keys()) {
    if (known.count(key) || without_effect.count(key) || !args.has(key)) continue;
    fail_usage(args.where(key), ": this argument is not supported", did_you_mean(key, names),
               "; known: ", joined(names));
  }
}

}  // namespace vit
