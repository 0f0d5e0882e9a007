#include "vit/models/vit_timm.h"

#include <nlohmann/json.hpp>
#include <set>

#include "vit/attention/self.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/timm_arguments.h"
#include "vit/models/vit_timm_architectures.h"

namespace vit {

namespace {

/// Arguments of timm's constructor that change nothing at inference, or that this model does without being told.
const std::set<std::string>& arguments_without_effect() {
  static const std::set<std::string> names = {"drop_rate",      "pos_drop_rate",  "patch_drop_rate", "proj_drop_rate",
                                              "attn_drop_rate", "drop_path_rate", "weight_init",     "dynamic_img_size",
                                              "fix_init",       "strict_img_size"};
  return names;
}

/// Arguments that read_arguments() understands.
const std::set<std::string>& known_arguments() {
  static const std::set<std::string> names = {"img_size",
                                              "patch_size",
                                              "in_chans",
                                              "num_classes",
                                              "global_pool",
                                              "embed_dim",
                                              "depth",
                                              "num_heads",
                                              "mlp_ratio",
                                              "qkv_bias",
                                              "qk_norm",
                                              "scale_attn_norm",
                                              "scale_mlp_norm",
                                              "proj_bias",
                                              "init_values",
                                              "class_token",
                                              "pos_embed",
                                              "no_embed_class",
                                              "reg_tokens",
                                              "pre_norm",
                                              "final_norm",
                                              "fc_norm",
                                              "pool_include_prefix",
                                              "norm_layer",
                                              "act_layer",
                                              "mlp_layer",
                                              "norm_eps",
                                              "distilled"};
  return names;
}

template <class E>
E enum_of(const JsonObject& args, const std::string& key, E fallback) {
  if (!args.has(key)) return fallback;
  const std::string name = args.require_string(key);
  std::vector<std::string> names;
  for (const auto& [value, known] : enum_names(fallback)) {
    if (known == name) return value;
    names.push_back(known);
  }
  fail_usage(args.where(key), ": '", name, "' is not supported", did_you_mean(name, names), "; known: ", joined(names));
}

void read_tokens(const JsonObject& args, VitConfig& config) {
  config.class_token = args.get_bool("class_token", config.class_token);
  config.distilled = args.get_bool("distilled", config.distilled);
  config.reg_tokens = args.get_int("reg_tokens", config.reg_tokens, {0, 1024});
  if (args.get_bool("no_embed_class", false)) config.pos_prefix = PositionPrefix::none;
  const std::string pos_embed = args.get_string("pos_embed", "learn");
  if (pos_embed != "learn" && pos_embed != "none" && !pos_embed.empty()) args.refuse("pos_embed", "'learn' or 'none'");
  config.pos_embed = pos_embed == "learn";
}

void read_norms(const JsonObject& args, VitConfig& config) {
  config.norm = enum_of(args, "norm_layer", config.norm);
  config.norm_eps = static_cast<float>(args.get_double("norm_eps", config.norm_eps, {0.0, 1.0}));
  config.pre_norm = args.get_bool("pre_norm", config.pre_norm);
  // timm's CLIP-style models have no bias before a norm that has one.
  config.patch_bias = !config.pre_norm;
  config.final_norm = args.get_bool("final_norm", config.final_norm);
  config.global_pool = enum_of(args, "global_pool", config.global_pool);
  const bool pooled =
      config.global_pool == Pool::avg || config.global_pool == Pool::avgmax || config.global_pool == Pool::max;
  config.fc_norm = args.get_bool("fc_norm", pooled);
  config.pool_prefix = args.get_bool("pool_include_prefix", config.pool_prefix);
}

void read_block(const JsonObject& args, VitConfig& config) {
  config.mlp_ratio = args.get_double("mlp_ratio", *config.mlp_ratio, {0.0, 64.0});
  config.act = activation_of(args.get_string("act_layer", "gelu"), args.where("act_layer"));
  const std::string mlp_layer = args.get_string("mlp_layer", "mlp");
  if (mlp_layer != "mlp" && mlp_layer != "swiglu_packed") args.refuse("mlp_layer", "'mlp' or 'swiglu_packed'");
  config.mlp_gated = mlp_layer == "swiglu_packed";
  if (args.get_bool("scale_mlp_norm", false)) config.mlp_norm = config.norm;
  if (args.has("init_values")) config.init_values = static_cast<float>(args.require_double("init_values"));
  config.mlp_bias = args.get_bool("proj_bias", true);
  const auto norm_if = [&](const char* key) { return args.get_bool(key, false) ? config.norm : NormKind::identity; };
  SelfAttentionOptions attention{.qkv_bias = args.get_bool("qkv_bias", true),
                                 .qk_norm = norm_if("qk_norm"),
                                 .scale_norm = norm_if("scale_attn_norm"),
                                 .norm_eps = config.norm_eps,
                                 .proj_bias = args.get_bool("proj_bias", true)};
  config.attention = write_config(attention).with("type", ConfigNode::make_scalar("self", true));
}

VitConfig read_arguments(const JsonObject& args) {
  check_timm_arguments(args, known_arguments(), arguments_without_effect());
  constexpr int64_t kWidest = 1 << 16;
  VitConfig config;
  config.img_size = args.get_extents("img_size", config.img_size, {1, kWidest});
  config.patch_size = args.get_extents("patch_size", config.patch_size, {1, 1 << 12});
  config.in_chans = args.get_int("in_chans", config.in_chans, {1, 1024});
  config.num_classes = args.get_int("num_classes", config.num_classes, {0, 1 << 24});
  config.embed_dim = args.get_int("embed_dim", config.embed_dim, {1, kWidest});
  config.depth = args.get_int("depth", config.depth, {0, 1024});
  config.num_heads = args.get_int("num_heads", config.num_heads, {1, 1024});
  read_tokens(args, config);
  read_norms(args, config);
  read_block(args, config);
  config.validate();
  return config;
}

}  // namespace

VitConfig vit_config_from_timm(const nlohmann::json& config, const std::string& where) {
  const JsonObject file(config, where);
  const std::string architecture = file.require_string("architecture");
  const auto& table = timm_vit_architectures();
  const auto found = table.find(architecture);
  if (found == table.end()) fail_usage(where, ": unknown architecture '", architecture, "'");

  const nlohmann::json args = timm_arguments(file, parse_json(found->second, architecture));
  return read_arguments(JsonObject(args, where + ": model_args"));
}

namespace {

ModelPlan plan_timm_vit(const CheckpointConfig& config) {
  const VitConfig vit = vit_config_from_timm(config.json, config.where);
  return {std::make_unique<Vit>(vit, JsonObject(config.json, config.where).require_string("architecture")), {}};
}

/// `dim` is another name of `embed_dim`.
ConfigNode with_full_names(const ConfigNode& options) {
  if (!options.has("dim")) return options;
  if (options.has("embed_dim")) options.get("dim").refuse("`dim` and `embed_dim` are the same; give one of them");
  return options.with("embed_dim", options.get("dim")).without("dim");
}

std::unique_ptr<ImageModel> build_vit(const ConfigNode& options, const std::string& name) {
  return std::make_unique<Vit>(read_config<VitConfig>(with_full_names(options)), name);
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const auto& [name, arguments] : timm_vit_architectures()) timm_registry().add(name, plan_timm_vit);
  return model_registry().add("vit", build_vit);
}();

}  // namespace

}  // namespace vit
