#include "vit/models/timm_arguments.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "vit/core/check.h"
#include "vit/core/names.h"

namespace vit {

namespace {

/// Files that old versions wrote have the entries of pretrained_cfg at the top level.
JsonObject pretrained_of(const JsonObject& file) {
  return file.has("pretrained_cfg") ? file.get_object("pretrained_cfg") : file;
}

/// [channels, height, width], or nothing.
std::vector<int64_t> input_size_of(const JsonObject& file) {
  const JsonObject pretrained = pretrained_of(file);
  std::vector<int64_t> input = pretrained.get_ints("input_size", {}, {1, 1 << 16});
  if (!input.empty() && input.size() != 3) pretrained.refuse("input_size", "[channels, height, width]");
  return input;
}

}  // namespace

nlohmann::json timm_arguments(const JsonObject& file, nlohmann::json entry) {
  nlohmann::json& args = entry;
  const JsonObject pretrained = pretrained_of(file);
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
  const std::vector<int64_t> input = input_size_of(file);
  if (!input.empty()) {
    if (!args.contains("in_chans")) args["in_chans"] = input[0];
    // The table's img_size is the architecture's default configuration, which the checkpoint's own replaces.
    const bool fixed =
        pretrained.get_bool("fixed_input_size", false) && !model_args.get_bool("dynamic_img_size", false);
    if (fixed) args["img_size"] = {input[1], input[2]};
  }
  // A null overrides as well: timm passes it on as None, the default.
  for (const std::string& key : model_args.keys()) args[key] = model_args.raw().at(key);
  return entry;
}

std::optional<std::array<int64_t, 2>> pretrained_input_size(const JsonObject& file) {
  const std::vector<int64_t> input = input_size_of(file);
  if (input.empty()) return std::nullopt;
  return std::array<int64_t, 2>{input[1], input[2]};
}

Pool timm_global_pool(const JsonObject& args, Pool fallback, const std::vector<Pool>& supported) {
  if (!args.has("global_pool")) return fallback;
  const std::string wanted = args.require_string("global_pool");
  std::vector<std::string> names;
  for (const auto& [pool, name] : enum_names(fallback)) {
    if (std::find(supported.begin(), supported.end(), pool) == supported.end()) continue;
    if (name == wanted) return pool;
    names.push_back("'" + name + "'");
  }
  const std::string last = names.back();
  names.pop_back();
  args.refuse("global_pool", names.empty() ? last : joined(names) + " or " + last);
}

ConfigNode timm_mechanism(const JsonObject& args, const std::string& type) {
  return ConfigNode::make_map()
      .with("type", ConfigNode::make_scalar(type, true))
      .with("qkv_bias", ConfigNode::make_scalar(args.get_bool("qkv_bias", true) ? "true" : "false", false));
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
