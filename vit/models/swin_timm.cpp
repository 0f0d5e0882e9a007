// timm's config.json -> SwinConfig, and the names by which Swin is built.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "vit/models/build.h"
#include "vit/models/swin.h"
#include "vit/models/timm_arguments.h"

namespace vit {

namespace {

constexpr const char* kTiny = R"("embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24])";
constexpr const char* kSmall = R"("embed_dim": 96, "depths": [2, 2, 18, 2], "num_heads": [3, 6, 12, 24])";
constexpr const char* kBase = R"("embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32])";
constexpr const char* kLarge = R"("embed_dim": 192, "depths": [2, 2, 18, 2], "num_heads": [6, 12, 24, 48])";
constexpr const char* kS3Base = R"("embed_dim": 96, "depths": [2, 2, 30, 2], "num_heads": [3, 6, 12, 24])";

struct Architecture {
  const char* width;
  const char* window;
  int64_t img_size;
};

/// What the entry functions of timm/models/swin_transformer.py (huggingface/pytorch-image-models, Apache-2.0; facts
/// only) set, and the input size of their default configurations. The last four are names of earlier versions.
const std::map<std::string, Architecture>& architectures() {
  static const std::map<std::string, Architecture> table = {
      {"swin_tiny_patch4_window7_224", {kTiny, "7", 224}},
      {"swin_small_patch4_window7_224", {kSmall, "7", 224}},
      {"swin_base_patch4_window7_224", {kBase, "7", 224}},
      {"swin_base_patch4_window12_384", {kBase, "12", 384}},
      {"swin_large_patch4_window7_224", {kLarge, "7", 224}},
      {"swin_large_patch4_window12_384", {kLarge, "12", 384}},
      {"swin_s3_tiny_224", {kTiny, "[7, 7, 14, 7]", 224}},
      {"swin_s3_small_224", {kSmall, "[14, 14, 14, 7]", 224}},
      {"swin_s3_base_224", {kS3Base, "[7, 7, 14, 7]", 224}},
      {"swin_base_patch4_window7_224_in22k", {kBase, "7", 224}},
      {"swin_base_patch4_window12_384_in22k", {kBase, "12", 384}},
      {"swin_large_patch4_window7_224_in22k", {kLarge, "7", 224}},
      {"swin_large_patch4_window12_384_in22k", {kLarge, "12", 384}}};
  return table;
}

nlohmann::json entry_arguments(const std::string& name) {
  const Architecture& entry = architectures().at(name);
  return parse_json(str("{\"patch_size\": 4, ", entry.width, ", \"window_size\": ", entry.window,
                        ", \"img_size\": ", entry.img_size, "}"),
                    name);
}

void check_arguments(const JsonObject& args) {
  check_timm_arguments(
      args,
      {"img_size", "patch_size", "in_chans", "num_classes", "global_pool", "embed_dim", "depths", "num_heads",
       "window_size", "always_partition", "mlp_ratio", "qkv_bias"},
      {"drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate", "weight_init", "strict_img_size"});
}

/// A window, or a list of them, as the configuration has it.
ConfigNode window_size(const JsonObject& args) {
  if (!args.has("window_size")) return SwinConfig().window_size;
  return ConfigNode::parse(args.find("window_size")->dump(), args.where("window_size"));
}

SwinConfig read_arguments(const JsonObject& args) {
  check_arguments(args);
  constexpr int64_t kWidest = 1 << 16;
  SwinConfig config;
  config.img_size = args.get_extents("img_size", config.img_size, {1, kWidest});
  const std::array<int64_t, 2> patch = args.get_extents("patch_size", {4, 4}, {1, 1 << 12});
  if (patch[0] != patch[1]) args.refuse("patch_size", "a square patch");
  config.patch_size = patch[0];
  config.in_chans = args.get_int("in_chans", config.in_chans, {1, 1024});
  config.num_classes = args.get_int("num_classes", config.num_classes, {0, 1 << 24});
  timm_global_pool(args, Pool::avg, {Pool::avg});
  config.embed_dim = args.get_int("embed_dim", config.embed_dim, {1, kWidest});
  config.depths = args.get_ints("depths", config.depths, {0, 1024});
  config.num_heads = args.get_ints("num_heads", config.num_heads, {1, 1024});
  config.window_size = window_size(args);
  config.always_partition = args.get_bool("always_partition", config.always_partition);
  config.mlp_ratio = args.get_double("mlp_ratio", config.mlp_ratio, {0.0, 64.0});
  config.qkv_bias = args.get_bool("qkv_bias", config.qkv_bias);
  config.validate();
  return config;
}

/// Buffers that older versions saved; and, where the head has the old name, patch merging at the end of the stage
/// before (timm's checkpoint_filter_fn).
KeyMap key_map(const SwinConfig& config, const Weights* weights) {
  KeyMap keys;
  for (int64_t j = 0; j < *std::max_element(config.depths.begin(), config.depths.end()); ++j)
    for (const std::string buffer : {".attn.relative_position_index", ".attn_mask"})
      keys.ignored.push_back("layers.{i}.blocks." + std::to_string(j) + buffer);
  if (!weights || weights->contains("head.fc.weight") || !weights->contains("head.weight")) return keys;
  for (const std::string kind : {".weight", ".bias"}) keys.rules.push_back({"head.fc" + kind, {"head" + kind}});
  for (int64_t i = 1; i < config.stages(); ++i)
    for (const std::string name : {".downsample.norm.weight", ".downsample.norm.bias", ".downsample.reduction.weight"})
      keys.rules.push_back({"layers." + std::to_string(i) + name, {"layers." + std::to_string(i - 1) + name}});
  return keys;
}

ModelPlan plan_timm_swin(const CheckpointConfig& checkpoint) {
  const JsonObject file(checkpoint.json, checkpoint.where);
  const std::string name = file.require_string("architecture");
  const nlohmann::json args = timm_arguments(file, entry_arguments(name));
  const SwinConfig config = read_arguments(JsonObject(args, checkpoint.where + ": model_args"));
  return {std::make_unique<Swin>(config, name), key_map(config, checkpoint.weights)};
}

std::unique_ptr<ImageModel> build_swin(const ConfigNode& options, const std::string& name) {
  return std::make_unique<Swin>(read_config<SwinConfig>(options), name);
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const auto& [name, architecture] : architectures()) timm_registry().add(name, plan_timm_swin);
  return model_registry().add("swin", build_swin);
}();

}  // namespace

}  // namespace vit
