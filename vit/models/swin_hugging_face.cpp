// Hugging Face's `swin` -> SwinConfig, and the table of its tensor names. Defaults are those of SwinConfig there,
// because config.json omits what equals them.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "vit/models/build.h"
#include "vit/models/hugging_face_arguments.h"
#include "vit/models/swin.h"

namespace vit {

namespace {

constexpr int64_t kWidest = 1 << 16;

SwinConfig read_arguments(const JsonObject& json) {
  SwinConfig config;
  config.dialect = Dialect::hugging_face;
  config.img_size = json.get_extents("image_size", config.img_size, {1, kWidest});
  const std::array<int64_t, 2> patch = json.get_extents("patch_size", {4, 4}, {1, 1 << 12});
  if (patch[0] != patch[1]) json.refuse("patch_size", "a square patch");
  config.patch_size = patch[0];
  config.in_chans = json.get_int("num_channels", config.in_chans, {1, 1024});
  config.embed_dim = json.get_int("embed_dim", config.embed_dim, {1, kWidest});
  config.depths = json.get_ints("depths", config.depths, {0, 1024});
  config.num_heads = json.get_ints("num_heads", config.num_heads, {1, 1024});
  config.window_size = ConfigNode::make_scalar(std::to_string(json.get_int("window_size", 7, {1, 1 << 10})), false);
  config.mlp_ratio = json.get_double("mlp_ratio", config.mlp_ratio, {0.0, 64.0});
  config.qkv_bias = json.get_bool("qkv_bias", config.qkv_bias);
  config.act = activation_of(json.get_string("hidden_act", "gelu"), json.where("hidden_act"));
  config.norm_eps = static_cast<float>(json.get_double("layer_norm_eps", config.norm_eps, {0.0, 1.0}));
  config.embed_norm_eps = 1e-5f;  // torch's default: transformers passes layer_norm_eps to the other norms only
  if (json.get_bool("use_absolute_embeddings", false))
    json.refuse(
        "use_absolute_embeddings",
        "false: transformers makes this table with a row for a class token, which Swin does not have, and cannot "
        "add it to the patches itself");
  return config;
}

/// Rules of one stage's block j, the same for all stages: {i}.
void add_block_rules(KeyMap& keys, int64_t j) {
  const std::string block = ".blocks." + std::to_string(j) + ".", ours = "layers.{i}" + block;
  const std::string theirs = "{p}encoder.layers.{i}" + block, self = theirs + "attention.self.";
  const std::vector<std::pair<std::string, std::vector<std::string>>> layers = {
      {"norm1", {theirs + "layernorm_before"}},
      {"norm2", {theirs + "layernorm_after"}},
      {"attn.qkv", {self + "query", self + "key", self + "value"}},
      {"attn.proj", {theirs + "attention.output.dense"}},
      {"mlp.fc1", {theirs + "intermediate.dense"}},
      {"mlp.fc2", {theirs + "output.dense"}}};
  for (const auto& [name, names] : layers)
    for (KeyRule& rule : weight_and_bias(ours + name, names)) keys.rules.push_back(std::move(rule));
  keys.rules.push_back({ours + "attn.relative_position_bias_table", {self + "relative_position_bias_table"}});
  keys.ignored.push_back(self + "relative_position_index");
}

KeyMap key_map(const SwinConfig& config, const std::string& prefix) {
  KeyMap keys{{}, prefix, {"{p}embeddings.mask_token"}};
  const std::vector<std::pair<std::string, std::string>> layers = {
      {"patch_embed.proj", "{p}embeddings.patch_embeddings.projection"},
      {"patch_embed.norm", "{p}embeddings.norm"},
      {"norm", "{p}layernorm"},
      {"head.fc", "classifier"}};
  for (const auto& [ours, theirs] : layers)
    for (KeyRule& rule : weight_and_bias(ours, {theirs})) keys.rules.push_back(std::move(rule));
  for (int64_t j = 0; j < *std::max_element(config.depths.begin(), config.depths.end()); ++j) add_block_rules(keys, j);
  // Patch merging stands at the end of the stage before.
  for (int64_t i = 1; i < config.stages(); ++i) {
    const std::string ours = "layers." + std::to_string(i) + ".downsample.";
    const std::string theirs = "{p}encoder.layers." + std::to_string(i - 1) + ".downsample.";
    for (KeyRule& rule : weight_and_bias(ours + "norm", {theirs + "norm"})) keys.rules.push_back(std::move(rule));
    keys.rules.push_back({ours + "reduction.weight", {theirs + "reduction.weight"}});
  }
  return keys;
}

ModelPlan plan_swin(const CheckpointConfig& checkpoint) {
  const JsonObject json(checkpoint.json, checkpoint.where);
  SwinConfig config = read_arguments(json);
  const std::vector<std::string> classes = json.get_strings("architectures", {});
  const auto holds = [&](const std::string& tensor) {
    return checkpoint.weights && checkpoint.weights->contains(tensor);
  };
  const bool classifier =
      (!classes.empty() && classes.front().ends_with("ForImageClassification")) || holds("classifier.weight");
  const bool nested = checkpoint.weights ? holds("swin.embeddings.norm.weight") : classifier;
  config.num_classes = classifier ? hugging_face_label_count(json) : 0;
  config.validate();
  return {std::make_unique<Swin>(config, "swin"), key_map(config, nested ? "swin." : "")};
}

[[maybe_unused]] const bool kRegistered = hugging_face_registry().add("swin", plan_swin);

}  // namespace

}  // namespace vit
