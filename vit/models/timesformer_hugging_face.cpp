// Hugging Face's `timesformer` -> TimesformerConfig, and the table of its tensor names. Defaults are those of
// TimesformerConfig there, because config.json omits what equals them.
#include <nlohmann/json.hpp>

#include "vit/attention/self.h"
#include "vit/io/json.h"
#include "vit/models/build.h"
#include "vit/models/hugging_face_arguments.h"
#include "vit/models/timesformer.h"

namespace vit {

namespace {

constexpr int64_t kWidest = 1 << 16;

ClipAttention attention_type_of(const JsonObject& json) {
  const std::string name = json.get_string("attention_type", "divided_space_time");
  for (const auto& [type, known] : enum_names(ClipAttention{}))
    if (known == name) return type;
  json.refuse("attention_type", "'divided_space_time', 'space_only' or 'joint_space_time'");
}

TimesformerConfig read_arguments(const JsonObject& json) {
  TimesformerConfig config;
  config.num_frames = json.get_int("num_frames", config.num_frames, {1, 1024});
  config.img_size = json.get_extents("image_size", config.img_size, {1, 1 << 14});
  const std::array<int64_t, 2> patch = json.get_extents("patch_size", {16, 16}, {1, 1 << 12});
  if (patch[0] != patch[1]) json.refuse("patch_size", "a square patch");
  config.patch_size = patch[0];
  config.in_chans = json.get_int("num_channels", config.in_chans, {1, 1024});
  config.embed_dim = json.get_int("hidden_size", config.embed_dim, {1, kWidest});
  config.depth = json.get_int("num_hidden_layers", config.depth, {0, 1024});
  config.num_heads = json.get_int("num_attention_heads", config.num_heads, {1, 1024});
  config.mlp_hidden = json.get_int("intermediate_size", config.mlp_hidden, {1, 1 << 20});
  config.norm_eps = static_cast<float>(json.get_double("layer_norm_eps", config.norm_eps, {0.0, 1.0}));
  config.act = activation_of(json.get_string("hidden_act", "gelu"), json.where("hidden_act"));
  config.attention_type = attention_type_of(json);
  const SelfAttentionOptions attention{.qkv_bias = json.get_bool("qkv_bias", true)};
  config.attention = write_config(attention).with("type", ConfigNode::make_scalar("self", true));
  if (config.attention_type == ClipAttention::divided_space_time) config.temporal_attention = config.attention;
  return config;
}

KeyMap key_map(const std::string& prefix) {
  KeyMap keys{{}, prefix, {}};
  const std::string layer = "{p}encoder.layer.{i}.";
  const std::vector<std::pair<std::string, std::string>> layers = {
      {"patch_embed.proj", "{p}embeddings.patch_embeddings.projection"},
      {"blocks.{i}.temporal_norm1", layer + "temporal_layernorm"},
      {"blocks.{i}.temporal_attn.qkv", layer + "temporal_attention.attention.qkv"},
      {"blocks.{i}.temporal_attn.proj", layer + "temporal_attention.output.dense"},
      {"blocks.{i}.temporal_fc", layer + "temporal_dense"},
      {"blocks.{i}.norm1", layer + "layernorm_before"},
      {"blocks.{i}.attn.qkv", layer + "attention.attention.qkv"},
      {"blocks.{i}.attn.proj", layer + "attention.output.dense"},
      {"blocks.{i}.norm2", layer + "layernorm_after"},
      {"blocks.{i}.mlp.fc1", layer + "intermediate.dense"},
      {"blocks.{i}.mlp.fc2", layer + "output.dense"},
      {"norm", "{p}layernorm"},
      {"head", "classifier"}};
  for (const auto& [ours, theirs] : layers)
    for (KeyRule& rule : weight_and_bias(ours, {theirs})) keys.rules.push_back(std::move(rule));
  keys.rules.push_back({"cls_token", {"{p}embeddings.cls_token"}});
  keys.rules.push_back({"pos_embed", {"{p}embeddings.position_embeddings"}});
  keys.rules.push_back({"time_embed", {"{p}embeddings.time_embeddings"}});
  return keys;
}

ModelPlan plan_timesformer(const CheckpointConfig& checkpoint) {
  const JsonObject json(checkpoint.json, checkpoint.where);
  TimesformerConfig config = read_arguments(json);
  const std::vector<std::string> classes = json.get_strings("architectures", {});
  const auto holds = [&](const std::string& tensor) {
    return checkpoint.weights && checkpoint.weights->contains(tensor);
  };
  const bool classifier =
      (!classes.empty() && classes.front().ends_with("ForVideoClassification")) || holds("classifier.weight");
  const bool nested = checkpoint.weights ? holds("timesformer.embeddings.cls_token") : classifier;
  config.num_classes = classifier ? hugging_face_label_count(json) : 0;
  return {std::make_unique<Timesformer>(config, "timesformer"), key_map(nested ? "timesformer." : "")};
}

[[maybe_unused]] const bool kRegistered = hugging_face_registry().add("timesformer", plan_timesformer);

}  // namespace

}  // namespace vit
