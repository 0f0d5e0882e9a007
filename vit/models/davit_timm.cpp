// timm's config.json -> DavitConfig, and the names by which DaViT is built.
#include <nlohmann/json.hpp>

#include "vit/models/build.h"
#include "vit/models/davit.h"
#include "vit/models/timm_arguments.h"

namespace vit {

namespace {

/// What the entry functions of timm/models/davit.py (huggingface/pytorch-image-models, Apache-2.0; facts only) set.
const std::map<std::string, nlohmann::json>& architectures() {
  const auto sized = [](std::vector<int64_t> depths, int64_t width, int64_t heads) {
    return nlohmann::json{{"depths", std::move(depths)},
                          {"embed_dims", {width, 2 * width, 4 * width, 8 * width}},
                          {"num_heads", {heads, 2 * heads, 4 * heads, 8 * heads}}};
  };
  // The image towers of Florence-2.
  const auto florence = [&](int64_t width, int64_t heads) {
    nlohmann::json args = sized({1, 1, 9, 1}, width, heads);
    args.update({{"window_size", 12}, {"down_kernel_size", 3}, {"channel_attn_v2", true}, {"named_blocks", true}});
    args["img_size"] = 768;
    return args;
  };
  static const std::map<std::string, nlohmann::json> table = {
      {"davit_tiny", sized({1, 1, 3, 1}, 96, 3)},  {"davit_small", sized({1, 1, 9, 1}, 96, 3)},
      {"davit_base", sized({1, 1, 9, 1}, 128, 4)}, {"davit_large", sized({1, 1, 9, 1}, 192, 6)},
      {"davit_huge", sized({1, 1, 9, 1}, 256, 8)}, {"davit_giant", sized({1, 1, 12, 3}, 384, 12)},
      {"davit_base_fl", florence(128, 4)},         {"davit_huge_fl", florence(256, 8)}};
  return table;
}

void check_arguments(const JsonObject& args) {
  check_timm_arguments(args, {"img_size",   "in_chans",         "num_classes",     "global_pool",  "depths",
                              "embed_dims", "num_heads",        "window_size",     "mlp_ratio",    "qkv_bias",
                              "norm_layer", "norm_layer_cl",    "norm_eps",        "attn_types",   "ffn",
                              "cpe_act",    "down_kernel_size", "channel_attn_v2", "named_blocks", "head_norm_first"},
                       {"drop_rate", "drop_path_rate"});
  if (args.get_string("norm_layer", "layernorm2d") != "layernorm2d") args.refuse("norm_layer", "'layernorm2d'");
  if (args.get_string("norm_layer_cl", "layernorm") != "layernorm") args.refuse("norm_layer_cl", "'layernorm'");
}

ConfigNode read_attention(const JsonObject& args) {
  std::vector<ConfigNode> types;
  for (const std::string& type : args.get_strings("attn_types", {})) {
    if (type != "spatial" && type != "channel") args.refuse("attn_types", "'spatial' and 'channel'");
    types.push_back(ConfigNode::make_scalar(type, true));
  }
  return types.empty() ? ConfigNode() : ConfigNode::make_list(types);
}

DavitConfig read_arguments(const JsonObject& args) {
  check_arguments(args);
  DavitConfig config;
  config.img_size = args.get_extents("img_size", config.img_size, {1, 1 << 16});
  config.in_chans = args.get_int("in_chans", config.in_chans, {1, 1024});
  config.num_classes = args.get_int("num_classes", config.num_classes, {0, 1 << 24});
  config.depths = args.get_ints("depths", config.depths, {0, 1024});
  config.embed_dims = args.get_ints("embed_dims", config.embed_dims, {1, 1 << 16});
  config.num_heads = args.get_ints("num_heads", config.num_heads, {1, 1024});
  config.window_size = args.get_int("window_size", config.window_size, {1, 1 << 10});
  config.mlp_ratio = args.get_double("mlp_ratio", config.mlp_ratio, {0.0, 64.0});
  config.qkv_bias = args.get_bool("qkv_bias", config.qkv_bias);
  config.channel_attn_v2 = args.get_bool("channel_attn_v2", config.channel_attn_v2);
  config.attention = read_attention(args);
  config.named_blocks = args.get_bool("named_blocks", config.named_blocks);
  config.ffn = args.get_bool("ffn", config.ffn);
  config.cpe_act = args.get_bool("cpe_act", config.cpe_act);
  config.down_kernel_size = args.get_int("down_kernel_size", config.down_kernel_size, {1, 16});
  config.norm_eps = static_cast<float>(args.get_double("norm_eps", config.norm_eps, {0.0, 1.0}));
  config.global_pool = timm_global_pool(args, Pool::avg, {Pool::avg, Pool::max, Pool::avgmax});
  config.head_norm_first = args.get_bool("head_norm_first", config.head_norm_first);
  config.validate();
  return config;
}

ModelPlan plan_timm_davit(const CheckpointConfig& config) {
  const JsonObject file(config.json, config.where);
  const std::string name = file.require_string("architecture");
  nlohmann::json args = timm_arguments(file, architectures().at(name));
  // No argument of the constructor: the size is that of the pictures the checkpoint is meant for.
  if (const auto size = pretrained_input_size(file)) args["img_size"] = *size;
  return {std::make_unique<Davit>(read_arguments(JsonObject(args, config.where + ": model_args")), name), {}};
}

std::unique_ptr<ImageModel> build_davit(const ConfigNode& options, const std::string& name) {
  return std::make_unique<Davit>(read_config<DavitConfig>(options), name);
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const auto& [name, arguments] : architectures()) timm_registry().add(name, plan_timm_davit);
  return model_registry().add("davit", build_davit);
}();

}  // namespace

}  // namespace vit
