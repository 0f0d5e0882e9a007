// timm's config.json -> MaxxvitConfig.
#include <nlohmann/json.hpp>
#include <set>

#include "vit/models/build.h"
#include "vit/models/maxxvit.h"
#include "vit/models/maxxvit_timm_architectures.h"
#include "vit/models/timm_arguments.h"

namespace vit {

namespace {

void check_arguments(const JsonObject& args) {
  static const std::set<std::string> known = {"img_size",
                                              "in_chans",
                                              "num_classes",
                                              "global_pool",
                                              "embed_dim",
                                              "depths",
                                              "block_type",
                                              "stem_width",
                                              "stem_bias",
                                              "head_hidden_size",
                                              "conv_block_type",
                                              "conv_expand_ratio",
                                              "conv_expand_output",
                                              "conv_kernel_size",
                                              "conv_group_size",
                                              "conv_pre_norm_act",
                                              "conv_output_bias",
                                              "conv_stride_mode",
                                              "conv_pool_type",
                                              "conv_downsample_pool_type",
                                              "conv_padding",
                                              "conv_attn_early",
                                              "conv_attn_layer",
                                              "conv_attn_act_layer",
                                              "conv_attn_ratio",
                                              "conv_init_values",
                                              "conv_act_layer",
                                              "conv_norm_layer",
                                              "conv_norm_eps",
                                              "transformer_dim_head",
                                              "transformer_head_first",
                                              "transformer_expand_ratio",
                                              "transformer_expand_first",
                                              "transformer_shortcut_bias",
                                              "transformer_attn_bias",
                                              "transformer_pool_type",
                                              "transformer_rel_pos_type",
                                              "transformer_rel_pos_dim",
                                              "transformer_partition_ratio",
                                              "transformer_window_size",
                                              "transformer_grid_size",
                                              "transformer_no_block_attn",
                                              "transformer_init_values",
                                              "transformer_act_layer",
                                              "transformer_norm_layer",
                                              "transformer_norm_layer_cl",
                                              "transformer_use_nchw_attn",
                                              "transformer_norm_eps"};
  // Dropout and start are the training's, and norms of one kind are the same for both layouts.
  static const std::set<std::string> without_effect = {
      "drop_rate",   "drop_path_rate",    "transformer_attn_drop", "transformer_proj_drop",
      "weight_init", "conv_norm_layer_cl"};
  check_timm_arguments(args, known, without_effect);
}

/// timm's name of a choice -> ours; `names` are the ones that are supported.
template <class E>
E choice(const JsonObject& args, const std::string& key, E fallback,
         const std::vector<std::pair<std::string, E>>& names) {
  if (!args.has(key)) return fallback;
  const std::string wanted = args.require_string(key);
  std::string known;
  for (const auto& [name, value] : names) {
    if (name == wanted) return value;
    known += str(known.empty() ? "" : ", ", "'", name, "'");
  }
  args.refuse(key, known);
}

/// The same where timm's names are ours.
template <class E>
E choice(const JsonObject& args, const std::string& key, E fallback) {
  std::vector<std::pair<std::string, E>> names;
  for (const auto& [value, name] : enum_names(fallback)) names.emplace_back(name, value);
  return choice(args, key, fallback, names);
}

MapNormKind norm_of(const JsonObject& args, const std::string& key, MapNormKind fallback) {
  return choice<MapNormKind>(args, key, fallback,
                             {{"layernorm2d", MapNormKind::layer_norm},
                              {"layernorm", MapNormKind::layer_norm},
                              {"batchnorm2d", MapNormKind::batch_norm},
                              {"batchnorm", MapNormKind::batch_norm}});
}

Activation act_of(const JsonObject& args, const std::string& key, Activation fallback) {
  return args.has(key) ? activation_of(args.require_string(key), args.where(key)) : fallback;
}

float eps_of(const JsonObject& args, const std::string& key, float fallback) {
  return static_cast<float>(args.get_double(key, fallback, {0.0, 1.0}));
}

/// A layer scale's start value; null and 0 are no layer scale.
std::optional<float> scale_of(const JsonObject& args, const std::string& key, std::optional<float> fallback) {
  if (!args.raw().contains(key)) return fallback;
  const auto value = static_cast<float>(args.get_double(key, 0.0));
  return value == 0.0f ? std::nullopt : std::optional(value);
}

std::optional<std::array<int64_t, 2>> window_of(const JsonObject& args, const std::string& key) {
  if (!args.has(key)) return std::nullopt;
  return args.get_extents(key, {1, 1}, {1, 1 << 10});
}

/// One type per stage, or a list of a stage's types.
std::vector<std::string> block_types(const JsonObject& args, const std::vector<std::string>& fallback) {
  const nlohmann::json* stages = args.find("block_type");
  if (!stages) return fallback;
  std::vector<std::string> types;
  for (const nlohmann::json& stage : *stages) {
    std::string joined;
    for (const nlohmann::json& type : stage.is_array() ? stage : nlohmann::json::array({stage})) {
      if (!type.is_string()) args.refuse("block_type", "a list of C, T, M, PM, or of lists of these");
      joined += (joined.empty() ? "" : " ") + type.get<std::string>();
    }
    types.push_back(joined);
  }
  return types;
}

MaxxvitConvConfig read_conv(const JsonObject& args) {
  MaxxvitConvConfig conv;
  conv.block_type = choice(args, "conv_block_type", conv.block_type);
  conv.expand_ratio = args.get_double("conv_expand_ratio", conv.expand_ratio, {0.1, 64.0});
  conv.expand_output = args.get_bool("conv_expand_output", conv.expand_output);
  conv.kernel_size = args.get_int("conv_kernel_size", conv.kernel_size, {1, 63});
  conv.group_size = args.get_int("conv_group_size", args.raw().contains("conv_group_size") ? 0 : 1, {0, 1 << 14});
  conv.pre_norm_act = args.get_bool("conv_pre_norm_act", conv.pre_norm_act);
  conv.output_bias = args.get_bool("conv_output_bias", conv.output_bias);
  conv.stride_mode = choice(args, "conv_stride_mode", conv.stride_mode);
  conv.pool_type = choice(args, "conv_pool_type", conv.pool_type);
  conv.downsample_pool_type = choice(args, "conv_downsample_pool_type", conv.downsample_pool_type);
  conv.padding = choice(args, "conv_padding", conv.padding);
  conv.attn_early = args.get_bool("conv_attn_early", conv.attn_early);
  conv.attn_layer =
      choice<std::string>(args, "conv_attn_layer", args.raw().contains("conv_attn_layer") ? "none" : conv.attn_layer,
                          {{"se", "se"}, {"eca", "eca"}, {"ese", "ese"}, {"", "none"}});
  conv.attn_act_layer = act_of(args, "conv_attn_act_layer", conv.attn_act_layer);
  conv.attn_ratio = args.get_double("conv_attn_ratio", conv.attn_ratio, {0.0, 64.0});
  conv.init_values = scale_of(args, "conv_init_values", conv.init_values);
  conv.act_layer = act_of(args, "conv_act_layer", conv.act_layer);
  // No name is timm's own default: what fits the kind of block.
  if (!args.get_string("conv_norm_layer", "").empty()) conv.norm_layer = norm_of(args, "conv_norm_layer", conv.norm());
  conv.norm_eps = eps_of(args, "conv_norm_eps", conv.eps());
  return conv;
}

MaxxvitTransformerConfig read_transformer(const JsonObject& args) {
  MaxxvitTransformerConfig transformer;
  transformer.dim_head = args.get_int("transformer_dim_head", transformer.dim_head, {1, 1 << 12});
  transformer.head_first = args.get_bool("transformer_head_first", transformer.head_first);
  transformer.expand_ratio = args.get_double("transformer_expand_ratio", transformer.expand_ratio, {0.1, 64.0});
  transformer.expand_first = args.get_bool("transformer_expand_first", transformer.expand_first);
  transformer.shortcut_bias = args.get_bool("transformer_shortcut_bias", transformer.shortcut_bias);
  transformer.attn_bias = args.get_bool("transformer_attn_bias", transformer.attn_bias);
  transformer.pool_type = choice(args, "transformer_pool_type", transformer.pool_type);
  // timm takes any other name for no position bias; these are how that is written.
  transformer.rel_pos_type = choice<WindowBiasKind>(
      args, "transformer_rel_pos_type",
      args.raw().contains("transformer_rel_pos_type") ? WindowBiasKind::none : transformer.rel_pos_type,
      {{"bias", WindowBiasKind::bias},
       {"bias_tf", WindowBiasKind::bias_tf},
       {"mlp", WindowBiasKind::mlp},
       {"", WindowBiasKind::none},
       {"none", WindowBiasKind::none}});
  transformer.rel_pos_dim = args.get_int("transformer_rel_pos_dim", transformer.rel_pos_dim, {1, 1 << 16});
  transformer.partition_ratio = args.get_int("transformer_partition_ratio", transformer.partition_ratio, {1, 1 << 10});
  transformer.window_size = window_of(args, "transformer_window_size");
  transformer.grid_size = window_of(args, "transformer_grid_size");
  transformer.no_block_attn = args.get_bool("transformer_no_block_attn", transformer.no_block_attn);
  transformer.init_values = scale_of(args, "transformer_init_values", transformer.init_values);
  transformer.act_layer = act_of(args, "transformer_act_layer", transformer.act_layer);
  transformer.norm_layer = norm_of(args, "transformer_norm_layer", transformer.norm_layer);
  transformer.norm_layer_cl = norm_of(args, "transformer_norm_layer_cl", transformer.norm_layer_cl);
  // Both layouts compute the same, but timm's blocks on NCHW maps have the other norm.
  if (args.get_bool("transformer_use_nchw_attn", false) && transformer.norm_layer != transformer.norm_layer_cl)
    args.refuse("transformer_use_nchw_attn", "false where transformer_norm_layer and transformer_norm_layer_cl differ");
  transformer.norm_eps = eps_of(args, "transformer_norm_eps", transformer.norm_eps);
  return transformer;
}

MaxxvitConfig read_arguments(const JsonObject& args) {
  check_arguments(args);
  MaxxvitConfig config;
  config.img_size = args.get_extents("img_size", config.img_size, {1, 1 << 16});
  config.in_chans = args.get_int("in_chans", config.in_chans, {1, 1024});
  config.num_classes = args.get_int("num_classes", config.num_classes, {0, 1 << 24});
  config.global_pool = timm_global_pool(args, config.global_pool, {Pool::avg, Pool::max, Pool::avgmax});
  config.embed_dim = args.get_ints("embed_dim", config.embed_dim, {1, 1 << 14});
  config.depths = args.get_ints("depths", config.depths, {1, 1024});
  config.block_type = block_types(args, config.block_type);
  config.stem_width = args.get_extents("stem_width", config.stem_width, {1, 1 << 14});
  config.stem_bias = args.get_bool("stem_bias", config.stem_bias);
  if (args.get_int("head_hidden_size", 0, {0, 1 << 16}) > 0)
    config.head_hidden_size = args.require_int("head_hidden_size");
  config.conv = read_conv(args);
  config.transformer = read_transformer(args);
  config.validate();
  return config;
}

ModelPlan plan_timm_maxxvit(const CheckpointConfig& config) {
  const JsonObject file(config.json, config.where);
  const std::string name = file.require_string("architecture");
  const nlohmann::json args = timm_arguments(file, parse_json(timm_maxxvit_architectures().at(name), name));
  return {std::make_unique<Maxxvit>(read_arguments(JsonObject(args, config.where + ": model_args")), name), {}};
}

[[maybe_unused]] const bool kRegistered = [] {
  bool all = true;
  for (const auto& [name, arguments] : timm_maxxvit_architectures())
    all = timm_registry().add(name, plan_timm_maxxvit) && all;
  return all;
}();

}  // namespace

}  // namespace vit
